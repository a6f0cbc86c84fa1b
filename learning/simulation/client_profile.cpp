#include "learning/simulation/client_profile.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "learning/random.hpp"

namespace fl {

namespace {

/// Times closer than this are the same: more than what rounding does to them in a hundred years.
constexpr double kResolution_s = 1e-6;

}  // namespace

Availability::Availability(std::vector<Window> windows, double period_s)
    : windows_(std::move(windows)), period_s_(period_s) {}

Availability Availability::daily(double share, double period_s, double phase_s) {
  if (share >= 1) return Availability();
  const auto from = std::fmod(phase_s, period_s);
  const auto to = from + share * period_s;
  // A window across the end of the period is two.
  if (to <= period_s) return Availability({{from, to}}, period_s);
  return Availability({{0, to - period_s}, {from, period_s}}, period_s);
}

bool Availability::online_at(double time_s) const {
  if (windows_.empty()) return true;
  const auto time = period_s_ > 0 ? std::fmod(time_s, period_s_) : time_s;
  return std::ranges::any_of(
      windows_, [&](const Window& window) { return window.from_s <= time && time < window.to_s; });
}

std::optional<Availability::Change> Availability::next_change(double time_s) const {
  const auto repeats = period_s_ > 0;
  const auto joins_next = !windows_.empty() && repeats && windows_.front().from_s == 0 &&
                          windows_.back().to_s == period_s_;  // no change where one period follows another
  const auto begun = repeats ? std::floor(time_s / period_s_) * period_s_ : 0;
  const auto now = time_s + kResolution_s;
  for (auto period = 0; period < (repeats ? 2 : 1); ++period)
    for (const auto& window : windows_) {
      const auto start = begun + period * period_s_;
      const auto opens = start + window.from_s;
      const auto closes = start + window.to_s;
      const auto is_joined = joins_next && &window == &windows_.front();
      if (opens > now && !is_joined) return Change{opens, true};
      const auto goes_on = joins_next && &window == &windows_.back();
      if (closes > now && std::isfinite(closes) && !goes_on) return Change{closes, false};
    }
  return std::nullopt;
}

std::optional<double> gives_up_after(double dropout, std::uint64_t seed, ClientId client, TaskId task) {
  if (dropout <= 0) return std::nullopt;
  auto luck = RandomStream(stream_seed(seed, "dropout", client, task));
  if (luck.uniform() >= dropout) return std::nullopt;
  return luck.uniform();
}

}  // namespace fl
