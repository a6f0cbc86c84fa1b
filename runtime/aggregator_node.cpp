#include <spdlog/spdlog.h>

#include <caf/io/all.hpp>
#include <caf/openssl/all.hpp>
#include <memory>

#include "runtime/actor_system.hpp"
#include "runtime/credentials.hpp"
#include "runtime/network.hpp"
#include "runtime/roles.hpp"
#include "runtime/server.hpp"

namespace fl {

namespace {

void unpublish(caf::actor_system& system, const gateway_actor& gateway, std::uint16_t port, bool tls) {
  const auto& manager = tls ? system.openssl_manager().actor_handle() : system.middleman().actor_handle();
  caf::scoped_actor(system)
      ->request(manager, caf::infinite, caf::unpublish_atom_v, gateway.address(), port)
      .receive([] {}, [](const caf::error&) {});
}

}  // namespace

ExitCode run_aggregator(const CommandLine& command_line, const Config& config) {
  const auto refuse = [](const Error& error) {
    spdlog::error("{}", error.text);
    return ExitCode::refused;
  };
  if (auto ok = check_plaintext(config.net.bind, config.net); !ok) return refuse(ok.error());
  auto address = resolve(config.net.bind);
  if (!address) return refuse(address.error());
  auto credentials = load_credentials(config.net);
  if (!credentials) return refuse(credentials.error());
  if (config.net.tls() && !credentials->allowed)
    spdlog::warn("net.allow_list is not set: every node with a certificate may join under any name");
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
  plan.publish = [=, tls = config.net.tls(), bind = address->address](caf::actor_system& system,
                                                                      const gateway_actor& gateway) {
    if (*published) unpublish(system, *published, *port, tls);
    auto listening = tls ? caf::openssl::publish(gateway, *port, bind.c_str(), true)
                         : system.middleman().publish(gateway, *port, bind.c_str(), true);
    if (!listening)
      throw std::runtime_error("cannot listen at " + bind + ":" + std::to_string(*port) + ": " +
                               system.render(listening.error()));
    *port = *listening;
    *published = gateway;
    spdlog::info("listening at {}:{}; clients join with --role client --join {}:{}{}", bind, *port, bind,
                 *port, tls ? " and their keys (--config NAME.toml)" : "");
  };
  plan.admission = {credentials->identity, credentials->allowed};
  if (credentials->allowed)
    plan.read_allow_list = [file = config.net.allow_list] { return read_allow_list(file); };
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
