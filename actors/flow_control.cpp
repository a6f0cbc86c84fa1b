#include "actors/flow_control.hpp"

#include <algorithm>
#include <cmath>

namespace fl {

namespace {

constexpr double kChunk_seconds = 0.5;
constexpr double kInFlight_seconds = 1.0;
/// Share of the newest measurement in the smoothed rate.
constexpr double kSmoothing = 0.3;
/// Share of a newer, longer answer time that is believed: links change.
constexpr double kForgetting = 0.02;
/// In flight, as a multiple of what fills the link: room to find out that it is faster.
constexpr double kHeadroom = 2;

}  // namespace

void FlowControl::sent(TimePoint now) {
  if (in_flight_ == 0) {
    busy_since_ = now;
    busy_bytes_ = 0;
  }
  ++in_flight_;
}

void FlowControl::acknowledged(std::uint64_t bytes, TimePoint sent_at, TimePoint now) {
  if (in_flight_ == 0) return;
  --in_flight_;
  const auto answer_s = std::chrono::duration<double>(now - sent_at).count();
  answer_s_ =
      answer_s_ == 0 || answer_s < answer_s_ ? answer_s : answer_s_ + kForgetting * (answer_s - answer_s_);
  busy_bytes_ += static_cast<double>(bytes);
  const auto seconds = std::chrono::duration<double>(now - busy_since_).count();
  if (seconds <= 0) return;
  const auto measured = busy_bytes_ / seconds;
  rate_ = rate_ == 0 ? measured : (1 - kSmoothing) * rate_ + kSmoothing * measured;
  chunk_bytes_ = static_cast<std::uint32_t>(
      std::clamp(rate_ * kChunk_seconds, double{kMinChunk_bytes}, double{kMaxChunk_bytes}));
  const auto in_a_second = std::max(rate_ * kInFlight_seconds / chunk_bytes_, 1.0);
  const auto filling = std::ceil(kHeadroom * rate_ * answer_s_ / chunk_bytes_);
  window_ = static_cast<std::uint32_t>(
      std::min(in_a_second, std::clamp(filling, double{kMinInFlight}, double{kMaxInFlight})));
}

void FlowControl::lost() {
  if (in_flight_ > 0) --in_flight_;
}

}  // namespace fl
