#include "actors/flow_control.hpp"

#include <algorithm>

namespace fl {

namespace {

constexpr double kChunk_seconds = 0.5;
constexpr double kInFlight_seconds = 1.0;
/// Share of the newest measurement in the smoothed rate.
constexpr double kSmoothing = 0.3;

}  // namespace

void FlowControl::sent(TimePoint now) {
  if (in_flight_++ == 0) {
    busy_since_ = now;
    busy_bytes_ = 0;
  }
}

void FlowControl::acknowledged(std::uint64_t bytes, TimePoint now) {
  if (in_flight_ > 0) --in_flight_;
  busy_bytes_ += static_cast<double>(bytes);
  const auto seconds = std::chrono::duration<double>(now - busy_since_).count();
  if (seconds <= 0) return;
  const auto measured = busy_bytes_ / seconds;
  rate_ = rate_ == 0 ? measured : (1 - kSmoothing) * rate_ + kSmoothing * measured;
  chunk_bytes_ = static_cast<std::uint32_t>(
      std::clamp(rate_ * kChunk_seconds, double{kMinChunk_bytes}, double{kMaxChunk_bytes}));
  window_ = static_cast<std::uint32_t>(
      std::clamp(rate_ * kInFlight_seconds / chunk_bytes_, 1.0, double{kMaxInFlight}));
}

void FlowControl::restart() {
  in_flight_ = 0;
}

}  // namespace fl
