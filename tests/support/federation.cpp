#include "tests/support/federation.hpp"

#include <doctest/doctest.h>

#include "actors/checkpointer.hpp"
#include "actors/client.hpp"
#include "actors/gateway.hpp"
#include "actors/metrics.hpp"
#include "actors/replay.hpp"
#include "actors/scheduler.hpp"
#include "actors/trainer.hpp"
#include "learning/compression/codec.hpp"

namespace fl::test {

namespace {

/// Asks the newest life of an actor; when it crashes over the answer, the one that follows.
template <class Answer, class Handle, class... Args>
Result<Answer> ask(Federation& federation, Handle Peers::*who, Args... args) {
  for (auto attempt = 0; attempt < 3; ++attempt) {
    const auto answer = federation.time.request<Answer>((*federation.node->peers).*who, args...);
    federation.time.pass(std::chrono::seconds(2));
    if (answer->has_value() && (*answer)->has_value()) return **answer;
  }
  return fail(ec::internal, "there was no answer");
}

template <class Handle>
std::function<void(Peers&, const caf::actor&)> entering(Handle Peers::*place) {
  return [place](Peers& peers, const caf::actor& actor) { peers.*place = caf::actor_cast<Handle>(actor); };
}

/// A child of the supervisor, spawned so that the test outlives it.
template <class Function, class... Args>
std::function<caf::actor(caf::actor_system&)> spawning(VirtualTime& time, Function function, Args... args) {
  return
      [=, &time](caf::actor_system&) { return caf::actor_cast<caf::actor>(time.spawn(function, args...)); };
}

}  // namespace

Federation::Federation(FederationOptions given)
    : options(std::move(given)), trainer(std::make_shared<FakeTrainer>(options.task_seconds)) {
  chaos_ = Chaos::parse(options.chaos).value();
  storage->durable_updates = options.durable_updates;
  if (options.shuffle) time.shuffle(*options.shuffle);
}

bool Federation::run() {
  auto peers = Peers();
  peers.node = spawn_fake_node(time, node);
  supervising = time.spawn(supervisor, SupervisionOptions(), children(), std::move(peers), std::uint64_t{1});
  if (!time.ask<bool>(supervising, begin_atom_v)) return false;
  const auto begin = time.now();
  if (!time.pass_until([this] { return !node->over.empty() || !node->failed.empty(); })) return false;
  seconds = Seconds(time.now() - begin).count();
  const auto reached = node->failed.empty();
  end();
  return reached;
}

ParametersPtr Federation::replayed() {
  auto aggregation =
      Aggregation(options.strategy, {}, std::make_shared<const Parameters>(trainer->initial_parameters(1)));
  const auto read = [this](Version after, const LedgerReader& reader) {
    return storage->read_ledger(after, reader);
  };
  const auto done = replay(aggregation, read);
  INFO((done ? std::string() : to_string(done.error())));
  REQUIRE(done);
  return aggregation.model();
}

const RunStatus& Federation::status() {
  return status_ = ask<RunStatus>(*this, &Peers::metrics, status_atom_v).value_or(RunStatus());
}

void Federation::end() {
  const auto reason = node->over.empty() ? node->failed.front() : node->over.front();
  const auto last = ask<PublicationPtr>(*this, &Peers::aggregator, stop_atom_v, reason);
  REQUIRE(last);
  version = (*last)->model->version();
  updates = (*last)->updates_accepted;
  model = (*last)->model->parameters().value();
  auto answers = std::uint32_t{0};
  if (options.evaluation.on_clients)
    answers = ask<std::uint32_t>(*this, &Peers::scheduler, finish_atom_v, reason, *last).value_or(0u);
  if (const auto evaluation = ask<Evaluation>(*this, &Peers::evaluator, evaluate_atom_v, *last, answers))
    last_evaluation = *evaluation;
  ask<std::uint32_t>(*this, &Peers::scheduler, finish_atom_v, reason, PublicationPtr());
  const auto record = ask<VersionRecordPtr>(*this, &Peers::metrics, stop_atom_v);
  REQUIRE(record);
  totals = (*record)->totals;
  CHECK(time.ask<bool>(supervising, stop_atom_v) == true);
  node->peers = nullptr;
}

std::vector<ChildSpec> Federation::children() {
  const auto run = RunStoragePtr(storage);
  auto specs = std::vector<ChildSpec>();
  const auto initial = [this] { return trainer->initial_parameters(1); };
  const auto recovery = CheckpointerOptions{trainer->layout(), options.strategy, {}, initial};
  specs.push_back(
      {"checkpointer", spawning(time, checkpointer, recovery, run, chaos_), entering(&Peers::checkpointer)});
  const auto board = std::make_shared<RunBoard>();
  specs.push_back({"metrics",
                   spawning(time, metrics,
                            MetricsOptions{options.goals, "test", std::make_shared<std::uint64_t>(0), board},
                            run, chaos_),
                   entering(&Peers::metrics)});
  specs.push_back({"evaluator",
                   spawning(time, evaluator, options.evaluation,
                            EvaluationMeans{trainer, data_of(10), time.pool.pool()}, chaos_),
                   entering(&Peers::evaluator)});
  auto scheduling = SchedulerOptions();
  scheduling.synchronous = is_synchronous(options.strategy.name);
  scheduling.clients_count = static_cast<std::uint32_t>(options.speeds.size());
  scheduling.min_clients = scheduling.clients_count;
  if (options.evaluation.on_clients) scheduling.evaluate_every = options.evaluation.every;
  scheduling.durable_updates = options.durable_updates;
  scheduling.fraction = options.fraction;
  scheduling.redundancy = options.redundancy;
  scheduling.backup_tasks = options.backup_tasks;
  scheduling.upload = options.upload;
  auto memory = SchedulerMemory();
  memory.board = board;
  memory.measures = [run] { return run->load_measures().value(); };
  memory.next_epoch = [run] { return run->next_epoch().value(); };
  if (options.durable_updates) memory.open_leases = [run] { return run->open_leases().value(); };
  specs.push_back(
      {"scheduler", spawning(time, scheduler, scheduling, memory, chaos_), entering(&Peers::scheduler)});
  auto aggregation = AggregatorOptions();
  aggregation.durable_updates = options.durable_updates;
  aggregation.strategy = options.strategy;
  aggregation.goals = options.goals;
  aggregation.initial = initial;
  specs.push_back(
      {"aggregator", spawning(time, aggregator, aggregation, chaos_), entering(&Peers::aggregator)});
  auto terms = Welcome();
  terms.run_id = "run";
  terms.clients_count = scheduling.clients_count;
  terms.seed = 1;
  terms.layout_fingerprint = trainer->layout()->fingerprint();
  terms.update_content = wants_model(options.strategy.name) ? "model" : "delta";
  auto sessions = SessionOptions();
  sessions.layout = trainer->layout();
  sessions.whole_model = wants_model(options.strategy.name);
  sessions.evaluate_on_clients = options.evaluation.on_clients;
  sessions.durable_updates = options.durable_updates;
  sessions.storage = run;
  sessions.board = board;
  sessions.chaos = chaos_;
  specs.push_back(
      {"gateway", spawning(time, gateway, terms, sessions, AdmissionOptions()), entering(&Peers::gateway)});
  if (options.in_fleet)
    specs.push_back(fleet_of(sessions, terms));
  else
    add_clients(specs);
  return specs;
}

ChildSpec Federation::fleet_of(const SessionOptions& sessions, const Welcome& terms) {
  auto fleet = FleetOptions();
  fleet.session = std::make_shared<const SessionOptions>(sessions);
  fleet.terms = terms;
  fleet.desk.pool = std::make_shared<AheadPool>(options.workers);
  fleet.desk.cost = {options.task_seconds, 0};
  fleet.desk.seed = 1;
  fleet.desk.whole_model = sessions.whole_model;
  fleet.profiles = options.profiles;
  if (fleet.profiles.empty())
    for (const auto speed : options.speeds) fleet.profiles.push_back({.speed = speed});
  fleet.means = [this](ClientId client) {
    const auto samples = options.samples.empty() ? 10 + client : options.samples[client];
    return TrainingMeans{trainer, data_of(samples), data_of(options.validation_samples)};
  };
  fleet.ready = [means = fleet.means](ClientId client) { return ready_of(means(client)); };
  fleet.keeps_residuals = keeps_residual(parse_codec(options.upload.codec).value(), options.upload);
  fleet.chaos = chaos_;
  const auto rows = std::make_shared<std::vector<FleetRow>>(fleet.profiles.size());
  return {"fleet", spawning(time, fl::fleet, fleet, rows), nullptr};
}

void Federation::add_clients(std::vector<ChildSpec>& specs) {
  for (auto index = std::size_t{0}; index < options.speeds.size(); ++index) {
    auto training = TrainerActorOptions();
    training.id = "trainer-" + std::to_string(index);
    training.prepare = [this, index](const Welcome&) -> Result<TrainingMeans> {
      const auto samples = options.samples.empty() ? 10 + index : options.samples[index];
      return TrainingMeans{trainer, data_of(samples), data_of(options.validation_samples)};
    };
    training.pool = time.pool.pool();
    training.speed = options.speeds[index];
    training.chaos = chaos_;
    specs.push_back({training.id, spawning(time, fl::trainer, training),
                     [index](Peers& peers, const caf::actor& actor) {
                       if (peers.trainers.size() <= index) peers.trainers.resize(index + 1);
                       peers.trainers[index] = caf::actor_cast<trainer_actor>(actor);
                     },
                     false});
  }
  for (auto index = std::size_t{0}; index < options.speeds.size(); ++index) {
    storage->clients["client-" + std::to_string(index)] = static_cast<ClientId>(index);
    auto one = ClientOptions();
    one.name = "client-" + std::to_string(index);
    one.in_process = !options.in_chunks;
    specs.push_back(
        {one.name,
         spawning(time, client, one, index, std::function<LayoutPtr()>([this] { return trainer->layout(); }),
                  chaos_, std::uint64_t{1}),
         nullptr});
  }
}

}  // namespace fl::test
