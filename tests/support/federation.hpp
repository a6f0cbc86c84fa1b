// A whole federation in virtual time: every real actor under the real supervisor, with a trainer that does
// sums.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/aggregator.hpp"
#include "actors/evaluator.hpp"
#include "actors/fleet.hpp"
#include "actors/supervisor.hpp"
#include "tests/support/fake_neighbours.hpp"
#include "tests/support/fake_trainer.hpp"
#include "tests/support/memory_storage.hpp"

namespace fl::test {

struct FederationOptions {
  StrategyOptions strategy;
  GoalOptions goals;
  std::vector<double> speeds = {1, 1, 1, 10};  ///< of the clients
  double task_seconds = 0.2;                   ///< of a client of speed 1
  std::vector<std::string> chaos;
  EvaluationOptions evaluation;
  std::uint64_t validation_samples = 0;  ///< of each client
  std::optional<std::uint64_t> shuffle;  ///< seed of a random order of events, see VirtualTime
  bool durable_updates = false;          ///< store.durability = "update"
  double fraction = 1;                   ///< clients.fraction
  double redundancy = 1;                 ///< schedule.redundancy
  std::uint32_t backup_tasks = 0;        ///< schedule.backup_tasks
  std::vector<std::size_t> samples;  ///< of the clients: those with as many hold the same; empty: all differ
  bool in_chunks = false;            ///< clients fetch and deliver as over a network
  bool in_fleet = false;             ///< clients are rows of a fleet
  std::size_t workers = 1;           ///< threads that train ahead of a fleet's clock
  std::vector<ClientProfile> profiles;  ///< of a fleet; empty: as `speeds` say
  UploadSettings upload;
};

class Federation {
 public:
  VirtualTime time;
  FederationOptions options;
  std::shared_ptr<MemoryStorage> storage = std::make_shared<MemoryStorage>();
  std::shared_ptr<FakeTrainer> trainer;
  std::shared_ptr<NodeLog> node = std::make_shared<NodeLog>();
  supervisor_actor supervising;
  RunTotals totals;     ///< after the end
  ParametersPtr model;  ///< of the last version
  Version version = 0;
  std::uint64_t updates = 0;
  double seconds = 0;  ///< virtual, to the goal
  std::optional<Evaluation> last_evaluation;

  explicit Federation(FederationOptions given);

  /// From the start to the goal, through the end as the node conducts it; false when the goal is not reached.
  bool run();

  /// The model that the ledger gives.
  ParametersPtr replayed();

  const RunStatus& status();

 private:
  void end();
  std::vector<ChildSpec> children();
  void add_clients(std::vector<ChildSpec>& specs);
  ChildSpec fleet_of(const SessionOptions& sessions, const Welcome& terms);

  ChaosPtr chaos_;
  RunStatus status_;
};

}  // namespace fl::test
