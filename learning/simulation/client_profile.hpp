// What one device of a simulated federation is like: how fast it computes, its network, when it is there.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "messages/ids.hpp"

namespace fl {

/// When a device is there: windows of time, in seconds since the run began, that may repeat.
class Availability {
 public:
  struct Window {
    double from_s = 0;  ///< ≥ 0
    double to_s = 0;    ///< > from_s; infinity: for good
  };

  /// Always there.
  Availability() = default;

  /// Windows in rising order that do not touch, of some microseconds at least; `period_s` > 0: they lie in
  /// [0, period_s) and repeat; 0: they come once. None at all: always there.
  explicit Availability(std::vector<Window> windows, double period_s = 0);

  /// Online for `share` in (0, 1] of each `period_s`, beginning `phase_s` after its start.
  static Availability daily(double share, double period_s, double phase_s);

  bool online_at(double time_s) const;

  struct Change {
    double at_s = 0;
    bool online = false;  ///< from then on
  };
  /// The first after `time_s`; none: nothing changes any more.
  std::optional<Change> next_change(double time_s) const;

 private:
  std::vector<Window> windows_;
  double period_s_ = 0;
};

/// Whether a client gives this task up, with the probability `dropout` in [0, 1): after which share of its
/// time, in [0, 1); none: it does not. The same for the same run's seed, client and task.
std::optional<double> gives_up_after(double dropout, std::uint64_t seed, ClientId client, TaskId task);

struct ClientProfile {
  double speed = 1;             ///< multiplies the time of computing, > 0: 10 takes ten times as long
  double up_bytes_per_s = 0;    ///< 0: no limit
  double down_bytes_per_s = 0;  ///< 0: no limit
  double latency_s = 0;         ///< before each transfer
  double dropout = 0;           ///< probability that a task is given up somewhere in the middle, in [0, 1)
  std::shared_ptr<const Availability> availability = nullptr;  ///< always there

  double upload_seconds(std::uint64_t bytes) const { return transfer_seconds(bytes, up_bytes_per_s); }
  double download_seconds(std::uint64_t bytes) const { return transfer_seconds(bytes, down_bytes_per_s); }

 private:
  /// Nothing to transfer takes no time.
  double transfer_seconds(std::uint64_t bytes, double rate) const {
    if (bytes == 0) return 0;
    return latency_s + (rate > 0 ? static_cast<double>(bytes) / rate : 0);
  }
};

}  // namespace fl
