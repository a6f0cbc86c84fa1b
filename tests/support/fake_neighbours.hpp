// Actors that write down what they are told and answer what the test wants, behind the interfaces of the real
// ones.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/virtual_time.hpp"

namespace fl::test {

struct MetricsLog {
  std::vector<UpdateRecord> updates;
  std::vector<VersionRecord> versions;
  std::vector<Evaluation> evaluations;
  std::vector<std::pair<Version, Version>> skips;
  std::vector<std::pair<Version, bool>> restores;
  std::vector<std::string> restarts;
  int begins = 0;
  bool silent = false;  ///< versions are not acknowledged
};

metrics_actor spawn_fake_metrics(VirtualTime& time, std::shared_ptr<MetricsLog> log);

struct SchedulerLog {
  struct Join {
    ClientId client;
    caf::actor session;
    LeasePtr lease;
  };
  std::vector<Join> joins;
  std::vector<std::pair<ClientId, TaskId>> fetched;
  std::vector<std::pair<ClientId, TaskId>> settled;
  std::vector<std::uint64_t> wanted;
  std::vector<std::pair<TaskId, std::string>> lost;
  std::vector<std::pair<ClientId, std::string>> dismissed;
  std::vector<PublicationPtr> publications;
  LeasePtr answer = std::make_shared<const Lease>();  ///< to all who ask for work
  bool silent = false;                                ///< nobody is answered
};

scheduler_actor spawn_fake_scheduler(VirtualTime& time, std::shared_ptr<SchedulerLog> log);

struct EvaluatorLog {
  std::vector<PublicationPtr> publications;
  std::vector<std::pair<Evaluation, ClientId>> answers;
  std::vector<std::uint32_t> live;
};

evaluator_actor spawn_fake_evaluator(VirtualTime& time, std::shared_ptr<EvaluatorLog> log);

struct AggregatorLog {
  TaskId answered = 0;  ///< was decided on before
  std::vector<ValidUpdatePtr> submitted;
  std::vector<Cohort> cohorts;
  std::vector<TaskId> lost;
  std::vector<std::uint32_t> live;
  std::vector<Evaluation> evaluations;
  ec decision = ec::none;  ///< on every update
  bool silent = false;     ///< nothing is decided
};

aggregator_actor spawn_fake_aggregator(VirtualTime& time, std::shared_ptr<AggregatorLog> log);

/// What the node is told.
struct NodeLog {
  std::vector<std::string> over;
  std::vector<std::string> failed;
  int stops = 0;
  PeersPtr peers;
};

caf::actor spawn_fake_node(VirtualTime& time, std::shared_ptr<NodeLog> log);

/// All neighbours at once.
struct Neighbours {
  explicit Neighbours(VirtualTime& time);

  std::shared_ptr<MetricsLog> metrics = std::make_shared<MetricsLog>();
  std::shared_ptr<SchedulerLog> scheduler = std::make_shared<SchedulerLog>();
  std::shared_ptr<EvaluatorLog> evaluator = std::make_shared<EvaluatorLog>();
  std::shared_ptr<AggregatorLog> aggregator = std::make_shared<AggregatorLog>();
  std::shared_ptr<NodeLog> node = std::make_shared<NodeLog>();
  Peers peers;

  PeersPtr handles() const { return std::make_shared<const Peers>(peers); }
};

}  // namespace fl::test
