#include "runtime/actor_system.hpp"

#include <algorithm>
#include <caf/io/all.hpp>
#include <caf/openssl/all.hpp>
#include <thread>

#include "messages/type_ids.hpp"
#include "runtime/tls_watch.hpp"

namespace fl {

namespace {

/// Sessions wait for the disk now and then, so there are more threads than cores on small machines.
constexpr std::size_t kMinThreads = 4;

/// Messages an actor may handle before others get their turn: without a limit a busy one starves its
/// neighbours.
constexpr std::size_t kMaxThroughput = 50;

}  // namespace

NodeSystemConfig::NodeSystemConfig() {
  add_message_types<caf::id_block::fl_messages>();
  add_error_category(kErrorCategory, [](std::uint8_t code, caf::atom_value, const caf::message& context) {
    return to_string(from_caf(caf::error(code, kErrorCategory, context)));
  });
}

NodeSystemConfig NodeSystemConfig::virtual_time() {
  auto config = NodeSystemConfig();
  config.set("scheduler.policy", caf::atom("testing"));
  return config;
}

NodeSystemConfig::NodeSystemConfig(const NetOptions& net, bool networked) : NodeSystemConfig() {
  set("scheduler.policy", caf::atom("sharing"));
  set("scheduler.max-throughput", kMaxThroughput);
  set("scheduler.max-threads", std::max<std::size_t>(kMinThreads, std::thread::hardware_concurrency()));
  if (!networked) return;
  load<caf::io::middleman>();
  if (net.tls()) {
    watch_tls();
    load<caf::openssl::manager>();
    // Read for each connection, so that renewed files are used without a restart.
    openssl_certificate = net.tls_certificate.string();
    openssl_key = net.tls_key.string();
    openssl_cafile = net.tls_ca.string();
  }
  set("middleman.heartbeat-interval", std::chrono::duration_cast<caf::timespan>(net.heartbeat));
  set("middleman.connection-timeout", std::chrono::duration_cast<caf::timespan>(net.connection_timeout));
}

void close_remote_services(caf::actor_system& system) {
  system.registry().erase(caf::atom("SpawnServ"));
  system.registry().erase(caf::atom("ConfigServ"));
}

}  // namespace fl
