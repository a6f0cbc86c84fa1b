#include <spdlog/spdlog.h>

#include "actors/client.hpp"
#include "actors/fleet.hpp"
#include "actors/trainer.hpp"
#include "learning/compression/codec.hpp"
#include "runtime/actor_system.hpp"
#include "runtime/client_profiles.hpp"
#include "runtime/roles.hpp"
#include "runtime/server.hpp"

namespace fl {

namespace {

/// Trainers first, so that every client finds its own.
std::vector<ChildSpec> simulated_clients(const ServerSetup& setup,
                                         const std::shared_ptr<const Partition>& partition,
                                         const std::vector<ClientProfile>& profiles) {
  const auto& config = setup.config;
  const auto initial = std::make_shared<InitialModel>(setup.workbench.trainer);
  auto children = std::vector<ChildSpec>();
  for (auto index = std::size_t{0}; index < config.clients.count; ++index) {
    auto options = TrainerActorOptions();
    options.id = "trainer-" + std::to_string(index);
    options.prepare = [workbench = setup.workbench,
                       partition](const Welcome& welcome) -> Result<TrainingMeans> {
      if (!partition) return TrainingMeans{workbench.trainer, nullptr, nullptr};
      return means_of(workbench, partition->rows[welcome.client], welcome);
    };
    options.pool = setup.pool;
    options.speed = profiles[index].speed;
    options.chaos = setup.chaos;
    children.push_back({options.id,
                        [options](caf::actor_system& system) {
                          return caf::actor_cast<caf::actor>(system.spawn(trainer, options));
                        },
                        [index](Peers& peers, const caf::actor& actor) {
                          if (peers.trainers.size() <= index) peers.trainers.resize(index + 1);
                          peers.trainers[index] = caf::actor_cast<trainer_actor>(actor);
                        },
                        false});
  }
  for (auto index = std::size_t{0}; index < config.clients.count; ++index) {
    auto options = config.client_options();
    options.name = "client-" + std::to_string(index);
    options.in_process = true;
    options.speed = profiles[index].speed;
    options.residuals = std::make_shared<MemoryResiduals>();
    options.initial_model = [initial](std::uint64_t seed) { return initial->of(seed); };
    children.push_back({options.name,
                        [options, index, chaos = setup.chaos, seed = config.seed](caf::actor_system& system) {
                          return caf::actor_cast<caf::actor>(system.spawn(
                              client, options, index, std::function<LayoutPtr()>(), chaos, seed));
                        },
                        nullptr});
  }
  return children;
}

/// What each client trains on, made when it is first asked for: with a million clients few ever are at once.
class MeansOfClients {
 public:
  MeansOfClients(Workbench workbench, std::shared_ptr<const Partition> partition, Welcome terms)
      : workbench_(std::move(workbench)), partition_(std::move(partition)), terms_(std::move(terms)) {
    if (partition_) made_.resize(partition_->rows.size());
  }

  TrainingMeans of(ClientId client) {
    if (!partition_) return TrainingMeans{workbench_.trainer, nullptr, nullptr};
    auto& means = made_[client];
    if (!means.trainer) {
      auto welcome = terms_;
      welcome.client = client;
      means = means_of(workbench_, partition_->rows[client], welcome);
      // Read once: a device says what it has each time that it comes.
      if (means.data && means.fingerprint == 0) means.fingerprint = means.data->fingerprint();
    }
    return means;
  }

 private:
  Workbench workbench_;
  std::shared_ptr<const Partition> partition_;
  Welcome terms_;
  std::vector<TrainingMeans> made_;
};

/// All clients of a simulation in virtual time.
std::vector<ChildSpec> simulated_fleet(const ServerSetup& setup,
                                       const std::shared_ptr<const Partition>& partition,
                                       const std::vector<ClientProfile>& profiles,
                                       const SessionOptions& sessions, const Welcome& terms,
                                       Seconds time_before) {
  const auto& config = setup.config;
  const auto means = std::make_shared<MeansOfClients>(setup.workbench, partition, terms);
  auto options = FleetOptions();
  options.session = std::make_shared<const SessionOptions>(sessions);
  options.client = config.client_options();
  options.client.in_process = true;
  options.terms = terms;
  options.desk.pool = setup.ahead;
  const auto echo = config.trainer.backend == "echo";
  options.desk.cost = {echo ? config.trainer.echo_seconds : 0, echo ? 0 : config.clients.sample_seconds};
  options.desk.seed = config.seed;
  options.desk.whole_model = sessions.whole_model;
  options.profiles = profiles;
  options.means = [means](ClientId client) { return means->of(client); };
  options.ready = [means](ClientId client) { return ready_of(means->of(client)); };
  const auto codec = parse_codec(config.upload.codec);
  options.keeps_residuals = codec && keeps_residual(*codec, config.upload);
  options.time_before = time_before;
  options.chaos = setup.chaos;
  const auto rows = std::make_shared<std::vector<FleetRow>>(config.clients.count);
  return {{"fleet",
           [options, rows](caf::actor_system& system) {
             return caf::actor_cast<caf::actor>(system.spawn(fleet, options, rows));
           },
           nullptr}};
}

NodeSystemConfig system_config_of(const Config& config) {
  if (config.simulate.clock == "virtual") return NodeSystemConfig::virtual_time();
  return NodeSystemConfig(config.net, false);
}

}  // namespace

ExitCode run_simulation(const CommandLine& command_line, const Config& config) {
  auto setup = prepare_server(command_line, config);
  if (!setup) {
    spdlog::error("{}", setup.error().text);
    return ExitCode::refused;
  }
  if (setup->folder.start() == RunFolder::Start::completed) {
    spdlog::info("{}: this run is complete; nothing to do", setup->folder.path().string());
    return ExitCode::done;
  }
  const auto refuse = [&](const Error& error) {
    spdlog::error("{}", error.text);
    setup->store.reset();
    std::move(setup->folder).discard();
    return ExitCode::refused;
  };
  auto profiles = client_profiles(config.clients, config.seed);
  if (!profiles) return refuse(profiles.error());
  auto partition = std::shared_ptr<const Partition>();
  if (setup->workbench.data.train) {
    auto divided = divide(setup->workbench.data, config.partition, config.clients.count, config.seed);
    if (!divided) return refuse(divided.error());
    const auto& data = setup->workbench.data;
    spdlog::info("{} clients, {} samples, {}\n{}", config.clients.count, data.train->size(),
                 data.owners.empty() ? config.partition.name + " partition" : "each its own",
                 describe(*divided));
    partition = std::make_shared<const Partition>(std::move(*divided));
  }
  // Every client is bound to the index in its name before the first one comes.
  const auto bound = setup->store->save_clients(config.clients.count, [&](ClientId client) {
    auto record = ClientRecord{client, "client-" + std::to_string(client), 0, {}};
    if (!partition) return record;
    record.samples = partition->rows[client].size();
    record.label_histogram = partition->label_histograms[client];
    return record;
  });
  if (!bound) {
    spdlog::error("{}", to_string(bound.error()));
    return ExitCode::failed;
  }
  auto plan = ServerPlan();
  if (setup->ahead)
    plan.fleet = [partition, profiles = std::move(*profiles)](const ServerSetup& of,
                                                              const SessionOptions& sessions,
                                                              const Welcome& terms, Seconds time_before) {
      return simulated_fleet(of, partition, profiles, sessions, terms, time_before);
    };
  else
    plan.clients = simulated_clients(*setup, partition, *profiles);
  auto system_config = system_config_of(config);
  auto system = caf::actor_system(system_config);
  close_remote_services(system);
  return run_server(*std::move(setup), std::move(plan), system);
}

}  // namespace fl
