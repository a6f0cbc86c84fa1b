// The supervisor: one-for-one restarts from child specifications, as data.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "actors/actors.hpp"
#include "actors/restart_policy.hpp"

namespace fl {

/// How one actor is started, found by the others, and wired.
struct ChildSpec {
  std::string id;                                        ///< "aggregator", "client-2", …
  std::function<caf::actor(caf::actor_system&)> start;   ///< spawns it
  std::function<void(Peers&, const caf::actor&)> enter;  ///< puts its handle where the others look
  bool wired = true;                                     ///< takes (wire_atom, PeersPtr)
};

struct SupervisorState {
  static inline const char* name = "supervisor";

  struct Child {
    ChildSpec spec;
    RestartPolicy policy;
    caf::actor actor;  ///< empty while it is down
  };

  supervisor_actor::pointer self = nullptr;
  SupervisionOptions options;
  std::vector<Child> children;  ///< in the order of starting
  Peers peers;
  bool metrics_down = false;
  std::vector<std::string> untold;  ///< restarts that metrics was not told of yet
  bool stopping = false;
  std::size_t stop_index = 0;  ///< children before it are still to be stopped
  caf::typed_response_promise<bool> stopped;

  void start(Child& child);
  void wire_all();
  void on_down(const caf::down_msg& down);
  void on_crash(Child& child, const std::string& why);
  void restart(const std::string& id);
  void stop_next();
};

/// Children start in order and stop in reverse. A child that ends normally is not restarted; one that crashes
/// is, after a backoff, and then all are wired anew. One that crashes too often ends the run: `node` is told
/// (lost_atom, why).
supervisor_actor::behavior_type supervisor(supervisor_actor::stateful_pointer<SupervisorState> self,
                                           SupervisionOptions options, std::vector<ChildSpec> children,
                                           Peers peers, std::uint64_t seed);

}  // namespace fl
