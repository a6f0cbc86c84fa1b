#include "actors/checkpointer.hpp"

#include "actors/crash_report.hpp"

namespace fl {

namespace {

template <class T>
caf::result<T> answer(Result<T> result) {
  if (!result) return to_caf(result.error());
  return std::move(*result);
}

}  // namespace

Result<StoredSnapshotPtr> CheckpointerState::restore() {
  auto snapshot = storage->load_snapshot(layout);
  if (!snapshot) return tl::unexpected(snapshot.error());
  if (!*snapshot) return StoredSnapshotPtr();
  return std::make_shared<const StoredSnapshot>(std::move(**snapshot));
}

Result<Version> CheckpointerState::save(const SaveRequest& request) {
  if (request.snapshot) chaos->strike_next("checkpointer", "snapshot");
  // Updates first: a snapshot never covers an update that the store does not know.
  if (!request.updates.empty())
    if (auto ok = storage->save_updates(request.updates); !ok) return tl::unexpected(ok.error());
  if (request.snapshot) {
    if (auto ok = storage->save_snapshot(request.snapshot->state, request.snapshot->next_task); !ok)
      return tl::unexpected(ok.error());
  }
  return request.version;
}

checkpointer_actor::behavior_type checkpointer(checkpointer_actor::stateful_pointer<CheckpointerState> self,
                                               RunStoragePtr storage, LayoutPtr layout, ChaosPtr chaos) {
  self->state.storage = std::move(storage);
  self->state.layout = std::move(layout);
  self->state.chaos = std::move(chaos);
  end_with_reason_on_exception(self);
  return {
      [self](restore_atom) { return answer(self->state.restore()); },
      [self](save_atom, const SaveRequestPtr& request) { return answer(self->state.save(*request)); },
      [](wire_atom, const PeersPtr&) {},
  };
}

}  // namespace fl
