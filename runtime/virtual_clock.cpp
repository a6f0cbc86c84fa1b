#include "runtime/virtual_clock.hpp"

#include <caf/scheduler/test_coordinator.hpp>
#include <stdexcept>

namespace fl {

namespace {

caf::scheduler::test_coordinator& coordinator_of(caf::actor_system& system) {
  if (auto* coordinator = dynamic_cast<caf::scheduler::test_coordinator*>(&system.scheduler()))
    return *coordinator;
  throw std::logic_error("the actor system has no simulated clock");
}

}  // namespace

VirtualClock::VirtualClock(caf::actor_system& system) : coordinator_(coordinator_of(system)) {}

bool VirtualClock::run(const std::function<bool()>& done, TimePoint until) {
  // Whoever comes from outside finds nothing half done, so when it comes does not change the order of events.
  for (;;) {
    while (coordinator_.try_run_once()) ++events_;
    if (done() || std::chrono::steady_clock::now() >= until) return true;
    if (!coordinator_.trigger_timeout()) return false;
  }
}

}  // namespace fl
