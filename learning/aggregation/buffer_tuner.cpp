#include "learning/aggregation/buffer_tuner.hpp"

#include <algorithm>
#include <cmath>

namespace fl {

void BufferTuner::note_update(Version base) {
  if (!folded_at_.empty() && base >= first_ && base < first_ + folded_at_.size()) {
    ages_ += static_cast<double>(folded_ - folded_at(base));
    ++aged_;
  }
  ++folded_;
}

/// Both means forget within about as many updates as there are tasks under way: one round of all clients.
void BufferTuner::learn(double now_s) {
  const auto mix = [](double& mean, double value, double weight) {
    mean = mean > 0 ? mean + weight * (value - mean) : value;
  };
  if (aged_ > 0) {
    const auto count = static_cast<double>(aged_);
    mix(under_way_, ages_ / count, count / (count + under_way_));
  }
  const auto count = static_cast<double>(folded_ - folded_before_);
  if (made_s_ && now_s > *made_s_)
    mix(updates_per_s_, count / (now_s - *made_s_), count / (count + under_way_));
  made_s_ = now_s;
  folded_before_ = folded_;
  ages_ = 0;
  aged_ = 0;
}

std::optional<std::uint32_t> BufferTuner::note_version(Version made, double now_s, std::uint32_t size) {
  const auto used = static_cast<double>(size);
  // Before anything is known, what fits the size that was used.
  if (under_way_ == 0) under_way_ = used * target_;
  learn(now_s);
  if (folded_at_.empty()) first_ = made;
  folded_at_.push_back(folded_);
  if (folded_at_.size() > kVersionsBack) {
    folded_at_.pop_front();
    ++first_;
  }
  const auto wanted = std::max({1.0, under_way_ / target_, updates_per_s_ * kMinVersionSeconds});
  if (std::abs(wanted - used) <= std::max(kTolerance * used, 0.5)) return std::nullopt;
  const auto rounded = static_cast<std::uint32_t>(std::clamp(std::round(wanted), 1.0, 1e9));
  if (rounded == size) return std::nullopt;
  return rounded;
}

}  // namespace fl
