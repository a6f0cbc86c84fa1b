// When a crashed actor comes back: exponential backoff with jitter, and a limit (as in Erlang/OTP's restart
// intensity).
#pragma once

#include <chrono>
#include <deque>
#include <optional>

#include "actors/options.hpp"
#include "learning/random.hpp"

namespace fl {

/// One child's crashes. The wait doubles from backoff_min to backoff_max, ± jitter, and begins again at
/// backoff_min after `period` without a crash.
class RestartPolicy {
 public:
  using Clock = std::chrono::steady_clock;

  /// `seed` decides the jitter.
  RestartPolicy(const SupervisionOptions& options, std::uint64_t seed);

  /// Notes a crash; returns how long to wait before the restart, or nothing when there were more than
  /// max_restarts within `period`.
  std::optional<std::chrono::milliseconds> crashed(Clock::time_point now);

  std::size_t crashes_in_period() const { return crashes_.size(); }

 private:
  SupervisionOptions options_;
  RandomStream random_;
  std::deque<Clock::time_point> crashes_;  ///< within the last `period`
};

/// min · 2^attempt, at most max, times a factor in [1 − jitter, 1 + jitter).
std::chrono::milliseconds backoff(std::uint32_t attempt, std::chrono::milliseconds min,
                                  std::chrono::milliseconds max, double jitter, RandomStream& random);

}  // namespace fl
