// How updates become the next version: one mechanism (weigh, fold, close), of which every strategy is an
// instance.
//
//   x ← x + η_g · optimiser( Σ w_i Δ_i / D ),   D = Σ d_i
//
//   name             w_i             d_i    closes at                             source
//   fedavg           n_i             n_i    the cohort's end                      McMahan 2017, 1602.05629
//   fedavg_async     n_i · s(τ_i)    n_i    K distinct clients                    this project
//   fedbuff          s(τ_i)          1      K distinct clients                    Nguyen 2022, 2106.06639
//   fedasync         α · s(τ_i)      1      every update; Δ_i = x_i − x (content = model)   Xie 2019,
//   1903.03934 fedasync_delta   α · s(τ_i)      1      every update                          this project
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "learning/aggregation/staleness.hpp"
#include "learning/compression/codec.hpp"
#include "learning/pruning.hpp"
#include "messages/errors.hpp"
#include "messages/ids.hpp"

namespace fl {

enum class StrategyName : std::uint8_t { fedavg, fedavg_async, fedasync, fedasync_delta, fedbuff };

Result<StrategyName> parse_strategy(const std::string& name);
std::string to_string(StrategyName name);

/// What is done to a version before it leaves the server.
struct PublishingOptions {
  Codec codec = {};  ///< download.codec, if it is lossy: the version is what the clients decode of it
  PruningOptions pruning;
};

/// What the weighing needs to know of an update.
struct UpdateFacts {
  ClientId client = 0;
  Version base = 0;
  std::uint64_t samples = 0;
};

/// w_i and d_i of the table above.
struct Weight {
  double fold = 0;
  double divisor = 0;
  std::uint64_t staleness = 0;  ///< τ_i at the time of weighing
};

/// Weighs an update of staleness τ_i; w_i and d_i are to be finite, and d_i above 0.
using Weighing = std::function<Weight(const UpdateFacts& update, std::uint64_t staleness)>;

struct StrategyOptions {
  StrategyName name = StrategyName::fedavg_async;
  std::uint32_t buffer_size = 0;    ///< K, distinct clients; 0: max(1, ⌊live clients / 4⌋), fedbuff 10
  bool buffer_auto = false;         ///< K follows what is measured from there: buffer_tuner.hpp
  double buffer_staleness = 4;      ///< mean τ that it aims at, > 0
  double server_learning_rate = 1;  ///< η_g, > 0
  double mixing = 0.6;              ///< α of FedAsync, in (0, 1]
  StalenessOptions staleness;
  std::uint64_t max_staleness = 0;  ///< versions; an older update is refused; 0: no limit
  PublishingOptions publishing;
  /// Of a program that embeds this one (docs/embedding.md): used instead of the table's w_i and d_i, with the
  /// name's way to close a buffer. A pure function: recovery and replay use the weights that the ledger
  /// recorded, but what was not recorded is weighed again.
  Weighing weighing = {};
};

/// Waits for whole cohorts: every lease of a version is answered or lost before the next version.
bool is_synchronous(StrategyName name);

/// Whether clients send their whole model instead of a delta (FedAsync): dense codecs only.
bool wants_model(StrategyName name);

/// How many distinct clients close a buffer that opens while `live_clients` are connected: min(K, live), at
/// least 1. FedAvg waits for all of its cohort, FedAsync for none: their K is `live_clients` and 1 whatever
/// is configured.
std::uint32_t buffer_goal(const StrategyOptions& options, std::uint32_t live_clients);

/// Weighs an update against the version the model has before it is applied.
/// Refuses with `too_stale`, `unknown_base` (base above `current`), `bad_claim` (no samples), and with
/// `internal` what `options.weighing` gave no usable weight.
Result<Weight> weigh(const StrategyOptions& options, const UpdateFacts& update, Version current);

}  // namespace fl
