// How CAF is set up in a node. The values were measured; docs/architecture.md says what the defaults did
// instead.
#pragma once

#include <caf/all.hpp>

#include "runtime/config.hpp"

namespace fl {

class NodeSystemConfig : public caf::actor_system_config {
 public:
  /// `networked`: with the middleman, and with TLS where net.tls.* say so.
  NodeSystemConfig(const NetOptions& net, bool networked);

  /// Of a simulation whose time runtime/virtual_clock.hpp turns.
  static NodeSystemConfig virtual_time();

 private:
  NodeSystemConfig();
};

/// Takes away what would let a peer spawn actors or read settings here. To be called right after the start.
void close_remote_services(caf::actor_system& system);

}  // namespace fl
