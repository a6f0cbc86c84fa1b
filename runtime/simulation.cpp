#include <spdlog/spdlog.h>

#include "actors/client.hpp"
#include "actors/trainer.hpp"
#include "runtime/actor_system.hpp"
#include "runtime/client_speeds.hpp"
#include "runtime/roles.hpp"
#include "runtime/server.hpp"

namespace fl {

namespace {

/// Trainers first, so that every client finds its own.
std::vector<ChildSpec> simulated_clients(const ServerSetup& setup,
                                         const std::shared_ptr<const Partition>& partition) {
  const auto& config = setup.config;
  const auto speeds = client_speeds(config.clients, config.seed);
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
    options.speed = speeds[index];
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
    options.speed = speeds[index];
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
  auto partition = std::shared_ptr<const Partition>();
  if (setup->workbench.data.train) {
    auto divided = divide(setup->workbench.data, config.partition, config.clients.count, config.seed);
    if (!divided) {
      spdlog::error("{}", divided.error().text);
      setup->store.reset();
      std::move(setup->folder).discard();
      return ExitCode::refused;
    }
    spdlog::info("{} clients, {} samples, {} partition\n{}", config.clients.count,
                 setup->workbench.data.train->size(), config.partition.name, describe(*divided));
    partition = std::make_shared<const Partition>(std::move(*divided));
  }
  // Every client is bound to the index in its name before the first one comes.
  for (auto index = std::uint32_t{0}; index < config.clients.count; ++index)
    if (auto bound = setup->store->bind_client("client-" + std::to_string(index), config.clients.count, {});
        !bound) {
      spdlog::error("{}", to_string(bound.error()));
      return ExitCode::failed;
    }
  auto plan = ServerPlan();
  plan.clients = simulated_clients(*setup, partition);
  auto system_config = NodeSystemConfig(config.net, false);
  auto system = caf::actor_system(system_config);
  close_remote_services(system);
  return run_server(std::move(*setup), std::move(plan), system);
}

}  // namespace fl
