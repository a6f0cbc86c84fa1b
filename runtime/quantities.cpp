#include "runtime/quantities.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace fl {
namespace {

constexpr double kMinute_s = 60;
constexpr double kHour_s = 60 * kMinute_s;
constexpr double kDay_s = 24 * kHour_s;

}  // namespace

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  if (seconds < kMinute_s - 0.5) return fmt::format("{:.0f} s", seconds);
  // Whole units from here on: rounding before dividing keeps "1 min 60 s" out.
  if (seconds < kHour_s - 0.5) {
    const auto whole = static_cast<std::uint64_t>(std::round(seconds));
    return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  }
  if (seconds < kDay_s - kMinute_s / 2) {
    const auto minutes = static_cast<std::uint64_t>(std::round(seconds / kMinute_s));
    return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
  }
  const double hours = std::round(seconds / kHour_s);
  return fmt::format("{:.0f} d {:.0f} h", std::floor(hours / 24), std::fmod(hours, 24));
}

std::string bytes_text(std::uint64_t bytes) {
  static constexpr std::array units{"kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < units.size()) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{} {}", rate_text(value), units[unit]);
}

std::string rate_text(double per_second) {
  if (!std::isfinite(per_second)) return "?";
  const double size = std::abs(per_second);
  if (size < 9.995) return fmt::format("{:.2f}", per_second);
  if (size < 99.95) return fmt::format("{:.1f}", per_second);
  return fmt::format("{:.0f}", per_second);
}

std::string percent_text(double share) {
  return std::isfinite(share) ? fmt::format("{:.2f} %", 100 * share) : "?";
}

std::string counted(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string printable(std::string_view text) {
  std::string clean(text);
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  std::replace_if(clean.begin(), clean.end(), is_control, '?');
  return clean;
}

std::size_t columns_of(std::string_view text) {
  // Continuation bytes of UTF-8 are 10xxxxxx.
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace fl
