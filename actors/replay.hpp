// Makes the model from the ledger's decisions again: recovery after a crash, and `fl_actor_node replay`.
#pragma once

#include <functional>
#include <optional>
#include <set>

#include "actors/run_storage.hpp"
#include "learning/aggregation/aggregation.hpp"

namespace fl {

struct ReplayOptions {
  std::optional<Version> until;  ///< stops after this version; none: after the last decision
  std::set<ClientId> without;    ///< whose updates are left out
};

/// Applies the decisions that follow the state of `aggregation`, in their order and with their weights;
/// nothing is decided again. Without some clients the versions keep their boundaries and the other updates
/// their weights, and each divisor is the sum over those that are left: what these updates give without that
/// client, not what training without it would have given. Fails with `corrupt_data` when bytes or decisions
/// do not fit, and as `read` does (RunStorage::read_ledger).
using ReadLedger = std::function<Result<void>(Version after, const LedgerReader& reader)>;
Result<void> replay(Aggregation& aggregation, const ReadLedger& read, const ReplayOptions& options = {});

}  // namespace fl
