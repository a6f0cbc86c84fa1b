#include "tests/support/fake_neighbours.hpp"

namespace fl::test {

namespace {

metrics_actor::behavior_type fake_metrics(metrics_actor::pointer self, std::shared_ptr<MetricsLog> log) {
  return {
      [log](const UpdateRecordsPtr& updates) {
        log->updates.insert(log->updates.end(), updates->begin(), updates->end());
      },
      [log, self](const VersionRecordPtr& version) -> caf::result<Version> {
        log->versions.push_back(*version);
        if (log->silent) return self->make_response_promise<Version>();
        return version->version;
      },
      [log](const Evaluation& evaluation) { log->evaluations.push_back(evaluation); },
      [log](skip_atom, Version first, Version last) { log->skips.emplace_back(first, last); },
      [log](restore_atom, Version version, bool went_back) {
        log->restores.emplace_back(version, went_back);
      },
      [log](restart_atom, const std::string& id) { log->restarts.push_back(id); },
      [log](begin_atom) { ++log->begins; },
      [](status_atom, const std::string&) {},
      [](status_atom) { return RunStatus(); },
      [](stop_atom) { return std::make_shared<const VersionRecord>(); },
      [](wire_atom, const PeersPtr&) {},
  };
}

scheduler_actor::behavior_type fake_scheduler(scheduler_actor::pointer self,
                                              std::shared_ptr<SchedulerLog> log) {
  return {
      [log](join_atom, ClientId client, const caf::actor& session, const LeasePtr& lease) {
        log->joins.push_back({client, session, lease});
      },
      [](join_atom, const AttendancePtr&, const caf::actor&) {},
      [log, self](lease_atom, ClientId, const Ready&) -> caf::result<LeasePtr> {
        if (log->silent) return self->make_response_promise<LeasePtr>();
        return log->answer;
      },
      [log](caf::leave_atom, ClientId client, const std::string& reason) {
        log->dismissed.emplace_back(client, reason);
      },
      [log](fetch_atom, ClientId client, TaskId task) { log->fetched.emplace_back(client, task); },
      [](status_atom, std::uint64_t) { return std::make_shared<const Whereabouts>(); },
      [log](want_atom, std::uint64_t updates) { log->wanted.push_back(updates); },
      [log](settle_atom, ClientId client, TaskId task) { log->settled.emplace_back(client, task); },
      [log](settle_atom, ClientId client, TaskId task, const TaskAnswer&) {
        log->settled.emplace_back(client, task);
      },
      [log](lost_atom, ClientId, TaskId task, const std::string& reason) {
        log->lost.emplace_back(task, reason);
      },
      [log](publish_atom, const PublicationPtr& publication) { log->publications.push_back(publication); },
      [](finish_atom, const std::string&, const PublicationPtr&) { return std::uint32_t{0}; },
      [](caf::tick_atom) {},
      [](wire_atom, const PeersPtr&) {},
  };
}

evaluator_actor::behavior_type fake_evaluator(evaluator_actor::pointer, std::shared_ptr<EvaluatorLog> log) {
  return {
      [](caf::tick_atom, Version, const std::string&) {},
      [log](publish_atom, const PublicationPtr& publication) { log->publications.push_back(publication); },
      [](evaluate_atom, const PublicationPtr&, std::uint32_t) { return Evaluation(); },
      [log](const Evaluation& answer, ClientId client) { log->answers.emplace_back(answer, client); },
      [log](live_atom, std::uint32_t clients) { log->live.push_back(clients); },
      [](wire_atom, const PeersPtr&) {},
  };
}

aggregator_actor::behavior_type fake_aggregator(aggregator_actor::pointer self,
                                                std::shared_ptr<AggregatorLog> log) {
  return {
      [log, self](submit_atom, const ValidUpdatePtr& update) -> caf::result<Receipt> {
        log->submitted.push_back(update);
        if (log->silent) return self->make_response_promise<Receipt>();
        return Receipt{update->info.task, log->decision, "", 0, 1};
      },
      [log](receipt_atom, ClientId, TaskId task) {
        return task == log->answered ? Receipt{task, ec::none, "", 0, 1}
                                     : Receipt{task, ec::unknown_lease, "not leased", 0, 0};
      },
      [log](cohort_atom, const CohortPtr& cohort) { log->cohorts.push_back(*cohort); },
      [log](lost_atom, TaskId task) { log->lost.push_back(task); },
      [log](live_atom, std::uint32_t clients) { log->live.push_back(clients); },
      [log](const Evaluation& evaluation) { log->evaluations.push_back(evaluation); },
      [](stop_atom, const std::string&) { return PublicationPtr(); },
      [](over_atom) {},
      [](save_atom) {},
      [](wire_atom, const PeersPtr&) {},
  };
}

caf::behavior fake_node(caf::event_based_actor*, std::shared_ptr<NodeLog> log) {
  return {
      [log](over_atom, const std::string& reason) { log->over.push_back(reason); },
      [log](lost_atom, const std::string& reason) { log->failed.push_back(reason); },
      [log](stop_atom) { ++log->stops; },
      [log](wire_atom, const PeersPtr& peers) { log->peers = peers; },
  };
}

}  // namespace

metrics_actor spawn_fake_metrics(VirtualTime& time, std::shared_ptr<MetricsLog> log) {
  return time.spawn(fake_metrics, std::move(log));
}

scheduler_actor spawn_fake_scheduler(VirtualTime& time, std::shared_ptr<SchedulerLog> log) {
  return time.spawn(fake_scheduler, std::move(log));
}

evaluator_actor spawn_fake_evaluator(VirtualTime& time, std::shared_ptr<EvaluatorLog> log) {
  return time.spawn(fake_evaluator, std::move(log));
}

aggregator_actor spawn_fake_aggregator(VirtualTime& time, std::shared_ptr<AggregatorLog> log) {
  return time.spawn(fake_aggregator, std::move(log));
}

caf::actor spawn_fake_node(VirtualTime& time, std::shared_ptr<NodeLog> log) {
  return time.spawn(fake_node, std::move(log));
}

Neighbours::Neighbours(VirtualTime& time) {
  peers.metrics = spawn_fake_metrics(time, metrics);
  peers.scheduler = spawn_fake_scheduler(time, scheduler);
  peers.evaluator = spawn_fake_evaluator(time, evaluator);
  peers.aggregator = spawn_fake_aggregator(time, aggregator);
  peers.node = spawn_fake_node(time, node);
  time.settle();
}

}  // namespace fl::test
