#include "actors/replay.hpp"

#include <string>

#include "learning/aggregation/validation.hpp"

namespace fl {

namespace {

/// How the reading is ended at the version that was asked for.
const auto kFarEnough = Error{ec::cancelled, "far enough"};

class Replay {
 public:
  Replay(Aggregation& aggregation, const ReplayOptions& options)
      : aggregation_(aggregation), options_(options), covered_(aggregation.updates_accepted()) {}

  Result<void> add(const LedgerUpdate& update) {
    const auto& record = update.record;
    if (update.number <= covered_) return {};  // the snapshot's buffer holds it
    if (record.folded_into != aggregation_.version() + 1)
      return fail(ec::corrupt_data, "update " + std::to_string(update.number) +
                                        " of the ledger belongs to version " +
                                        std::to_string(record.folded_into) + ", but version " +
                                        std::to_string(aggregation_.version() + 1) + " is being made");
    if (options_.without.contains(record.client)) return {};
    const auto payload = locate_payload(update.blob, *aggregation_.model()->layout(),
                                        wants_model(aggregation_.strategy().name));
    if (!payload) return tl::unexpected(payload.error());
    return aggregation_.fold({record.client, record.base, record.samples},
                             {record.weight, update.divisor, record.staleness}, *payload);
  }

  Result<void> close(const LedgerClosing& closing) {
    if (closing.version != aggregation_.version() + 1)
      return fail(ec::corrupt_data, "the ledger closes version " + std::to_string(closing.version) +
                                        " after version " + std::to_string(aggregation_.version()));
    if (options_.without.empty() && aggregation_.divisor() != closing.divisor)
      return fail(ec::corrupt_data, "the updates of version " + std::to_string(closing.version) +
                                        " in the ledger are not complete");
    if (aggregation_.folded() > 0)
      aggregation_.close();
    else
      aggregation_.close_unchanged();
    if (options_.until == aggregation_.version()) return tl::unexpected(kFarEnough);
    return {};
  }

 private:
  Aggregation& aggregation_;
  const ReplayOptions& options_;
  std::uint64_t covered_;  ///< number of the last update that the snapshot knows
};

}  // namespace

Result<void> replay(Aggregation& aggregation, const ReadLedger& read, const ReplayOptions& options) {
  if (options.until == aggregation.version()) return {};
  auto replay = Replay(aggregation, options);
  auto reader = LedgerReader();
  reader.on_update = [&](const LedgerUpdate& update) { return replay.add(update); };
  reader.on_closing = [&](const LedgerClosing& closing) { return replay.close(closing); };
  auto done = read(aggregation.version(), reader);
  if (!done && done.error().code == kFarEnough.code) return {};
  return done;
}

}  // namespace fl
