// The checkpointer: the one actor that waits for the disk.
#pragma once

#include <functional>

#include "actors/actors.hpp"
#include "actors/chaos.hpp"

namespace fl {

struct CheckpointerOptions {
  LayoutPtr layout;
  StrategyOptions strategy;
  ServerOptimizerOptions optimizer;
  std::function<Parameters()> initial;  ///< makes version 0, from which a ledger without a snapshot begins
};

struct CheckpointerState {
  static inline const char* name = "checkpointer";

  CheckpointerOptions options;
  RunStoragePtr storage;
  ChaosPtr chaos;

  Result<RecoveredPtr> restore();
  Result<Recovered> recover(std::optional<StoredSnapshot> snapshot);
};

checkpointer_actor::behavior_type checkpointer(checkpointer_actor::stateful_pointer<CheckpointerState> self,
                                               CheckpointerOptions options, RunStoragePtr storage,
                                               ChaosPtr chaos);

}  // namespace fl
