// The checkpointer: the one actor that waits for the disk.
#pragma once

#include "actors/actors.hpp"
#include "actors/chaos.hpp"

namespace fl {

struct CheckpointerState {
  static inline const char* name = "checkpointer";

  RunStoragePtr storage;
  LayoutPtr layout;
  ChaosPtr chaos;

  Result<StoredSnapshotPtr> restore();
  Result<Version> save(const SaveRequest& request);
};

checkpointer_actor::behavior_type checkpointer(checkpointer_actor::stateful_pointer<CheckpointerState> self,
                                               RunStoragePtr storage, LayoutPtr layout, ChaosPtr chaos);

}  // namespace fl
