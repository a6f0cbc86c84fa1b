// The clock of a simulation in virtual time (simulate.clock = "virtual"), which is also what its actors run
// on: one event after the other on the caller's thread, in an order that depends on nothing but the events.
// When no actor has anything to do, time jumps to the next timer.
#pragma once

#include <caf/all.hpp>
#include <chrono>
#include <cstdint>
#include <functional>

namespace caf::scheduler {
class test_coordinator;
}

namespace fl {

class VirtualClock {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// Of a system made with NodeSystemConfig::virtual_time; throws std::logic_error for another.
  explicit VirtualClock(caf::actor_system& system);

  /// Lets things happen, all of a moment at once, until `done()` or until this time on the wall's clock;
  /// false: nothing is left to happen.
  bool run(const std::function<bool()>& done, TimePoint until = TimePoint::max());

  /// Messages handled so far.
  std::uint64_t events() const { return events_; }

 private:
  caf::scheduler::test_coordinator& coordinator_;
  std::uint64_t events_ = 0;
};

}  // namespace fl
