#include <spdlog/spdlog.h>

#include <caf/io/all.hpp>
#include <memory>

#include "runtime/actor_system.hpp"
#include "runtime/network.hpp"
#include "runtime/roles.hpp"
#include "runtime/server.hpp"

namespace fl {

ExitCode run_aggregator(const CommandLine& command_line, const Config& config) {
  const auto refuse = [](const Error& error) {
    spdlog::error("{}", error.text);
    return ExitCode::refused;
  };
  if (auto ok = check_plaintext(config.net.bind, config.net); !ok) return refuse(ok.error());
  auto address = resolve(config.net.bind);
  if (!address) return refuse(address.error());
  if (auto ok = check_listen(address->address, config.net.port); !ok) return refuse(ok.error());
  auto setup = prepare_server(command_line, config);
  if (!setup) return refuse(setup.error());
  if (setup->folder.start() == RunFolder::Start::completed) {
    spdlog::info("{}: this run is complete; nothing to do", setup->folder.path().string());
    return ExitCode::done;
  }

  // The port stays the same when the gateway is restarted, also one that the system chose.
  auto port = std::make_shared<std::uint16_t>(config.net.port);
  auto published = std::make_shared<gateway_actor>();
  auto plan = ServerPlan();
  plan.publish = [=, bind = address->address](caf::actor_system& system, const gateway_actor& gateway) {
    if (*published) system.middleman().unpublish(*published, *port);
    auto listening = system.middleman().publish(gateway, *port, bind.c_str(), true);
    if (!listening)
      throw std::runtime_error("cannot listen at " + bind + ":" + std::to_string(*port) + ": " +
                               system.render(listening.error()));
    *port = *listening;
    *published = gateway;
    spdlog::info("listening at {}:{}; clients join with --role client --join {}:{}", bind, *port, bind,
                 *port);
  };
  plan.on_begin = [=, bind = config.net.bind](RunFolder& folder) {
    if (auto ok = folder.announce({bind, *port}); !ok) spdlog::warn("{}", to_string(ok.error()));
  };
  auto system_config = NodeSystemConfig(config.net, true);
  auto system = caf::actor_system(system_config);
  close_remote_services(system);
  const auto code = run_server(std::move(*setup), std::move(plan), system);
  *published = nullptr;  // no handle may outlive the system
  return code;
}

}  // namespace fl
