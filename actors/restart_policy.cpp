#include "actors/restart_policy.hpp"

#include <algorithm>
#include <cmath>

namespace fl {

std::chrono::milliseconds backoff(std::uint32_t attempt, std::chrono::milliseconds min,
                                  std::chrono::milliseconds max, double jitter, RandomStream& random) {
  const auto doubled = static_cast<double>(min.count()) * std::pow(2.0, std::min(attempt, 30u));
  const auto capped = std::min(doubled, static_cast<double>(max.count()));
  return std::chrono::milliseconds(std::llround(capped * random.uniform(1 - jitter, 1 + jitter)));
}

RestartPolicy::RestartPolicy(const SupervisionOptions& options, std::uint64_t seed)
    : options_(options), random_(seed) {}

std::optional<std::chrono::milliseconds> RestartPolicy::crashed(Clock::time_point now) {
  while (!crashes_.empty() && now - crashes_.front() > options_.period) crashes_.pop_front();
  crashes_.push_back(now);
  if (crashes_.size() > options_.max_restarts) return std::nullopt;
  return backoff(static_cast<std::uint32_t>(crashes_.size() - 1), options_.backoff_min, options_.backoff_max,
                 options_.jitter, random_);
}

}  // namespace fl
