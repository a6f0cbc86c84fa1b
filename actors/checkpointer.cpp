#include "actors/checkpointer.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "actors/crash_report.hpp"
#include "actors/replay.hpp"

namespace fl {

Result<RecoveredPtr> CheckpointerState::restore() {
  auto snapshot = storage->load_snapshot(options.layout);
  if (!snapshot) return tl::unexpected(snapshot.error());
  auto recovered = Result<Recovered>(Recovered());
  if (storage->keeps_updates())
    recovered = recover(std::move(*snapshot));
  else if (*snapshot)
    recovered->snapshot = std::move(**snapshot);
  if (!recovered) return tl::unexpected(recovered.error());
  if (!recovered->snapshot.state.model) return RecoveredPtr();
  return std::make_shared<const Recovered>(std::move(*recovered));
}

Result<Recovered> CheckpointerState::recover(std::optional<StoredSnapshot> snapshot) {
  auto recovered = Recovered();
  auto newest = storage->newest_accepted();
  if (!newest) return tl::unexpected(newest.error());
  recovered.newest_accepted = std::move(*newest);
  if (!snapshot && recovered.newest_accepted.empty()) return recovered;

  auto& next_task = recovered.snapshot.next_task;
  auto aggregation =
      Result<Aggregation>(tl::unexpect, Error{ec::internal, "the state of the run was not made"});
  if (snapshot) {
    next_task = snapshot->next_task;
    aggregation = Aggregation::restore(options.strategy, options.optimizer, std::move(snapshot->state));
  } else {
    aggregation = Aggregation(options.strategy, options.optimizer,
                              std::make_shared<const Parameters>(options.initial()));
  }
  if (!aggregation) return tl::unexpected(aggregation.error());
  // A cohort is committed as a whole, so a part of one is not in the ledger.
  if (is_synchronous(options.strategy.name)) aggregation->discard_buffer();
  const auto from = aggregation->version();
  const auto read = [this](Version after, const LedgerReader& reader) {
    return storage->read_ledger(after, reader);
  };
  if (auto ok = replay(*aggregation, read); !ok) return tl::unexpected(ok.error());
  if (aggregation->version() > from)
    spdlog::info("versions {} to {} are made again from the ledger", from + 1, aggregation->version());
  recovered.snapshot.state = aggregation->state();

  for (const auto& update : recovered.newest_accepted) next_task = std::max(next_task, update.task + 1);
  const auto leases = storage->open_leases();
  if (!leases) return tl::unexpected(leases.error());
  for (const auto& task : *leases) next_task = std::max(next_task, task.id + 1);
  return recovered;
}

checkpointer_actor::behavior_type checkpointer(checkpointer_actor::stateful_pointer<CheckpointerState> self,
                                               CheckpointerOptions options, RunStoragePtr storage,
                                               ChaosPtr chaos) {
  self->state.options = std::move(options);
  self->state.storage = std::move(storage);
  self->state.chaos = std::move(chaos);
  end_with_reason_on_exception(self);
  return {
      [self](restore_atom) -> caf::result<RecoveredPtr> {
        auto recovered = self->state.restore();
        if (!recovered) return to_caf(recovered.error());
        return std::move(*recovered);
      },
      [self](save_atom, const SaveRequestPtr& request) -> caf::result<Version> {
        auto& state = self->state;
        // Where a commit can be repeated, the crash comes at the worst moment: after it, before the answer.
        const auto repeatable = state.storage->keeps_updates();
        const auto strike = [&] {
          if (request->snapshot) state.chaos->strike_next("checkpointer", "snapshot");
        };
        if (!repeatable) strike();
        // Decisions first: a snapshot never covers an update that the store does not know.
        auto saved = state.storage->commit(request->batch);
        if (repeatable) strike();
        auto promise = self->make_response_promise<Version>();
        const auto early = saved && !request->wait_for_snapshot;
        if (early) promise.deliver(request->version);
        if (saved && request->snapshot)
          saved = state.storage->save_snapshot(request->snapshot->state, request->snapshot->next_task);
        if (!early && saved) promise.deliver(request->version);
        if (!early && !saved) promise.deliver(to_caf(saved.error()));
        if (early && !saved)
          spdlog::error("the snapshot of version {} is not on disk: {}", request->version,
                        to_string(saved.error()));
        return promise;
      },
      [self](lease_atom, const Task& task) {
        if (auto ok = self->state.storage->save_lease(task); !ok)
          spdlog::warn("the lease of client {} will not outlive a restart: {}", task.client,
                       to_string(ok.error()));
      },
      [self](save_atom, const MeasuresPtr& measures) {
        if (auto ok = self->state.storage->save_measures(*measures); !ok)
          spdlog::warn("what was measured of the clients will not outlive a restart: {}",
                       to_string(ok.error()));
      },
      [](wire_atom, const PeersPtr&) {},
  };
}

}  // namespace fl
