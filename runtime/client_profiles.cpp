#include "runtime/client_profiles.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "learning/random.hpp"

namespace fl {

namespace {

constexpr double kBytesPerMbit = 1e6 / 8;

/// Names the streams of what is drawn for a client.
RandomStream stream_of(std::uint64_t seed, std::string_view what, std::uint32_t client) {
  return RandomStream(stream_seed(seed, what, client));
}

// -- Trace --------------------------------------------------------------------------------------------------

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  auto parts = std::vector<std::string_view>();
  for (;;) {
    const auto end = text.find(separator);
    parts.push_back(trimmed(text.substr(0, end)));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<double> number_of(std::string_view text) {
  auto value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || std::isnan(value)) return std::nullopt;
  return value;
}

std::optional<std::vector<Availability::Window>> windows_of(std::string_view text) {
  auto windows = std::vector<Availability::Window>();
  for (const auto part : split(text, ' ')) {
    if (part.empty()) continue;
    const auto dash = part.find('-', 1);
    if (dash == part.npos) return std::nullopt;
    const auto from = number_of(part.substr(0, dash));
    const auto to = number_of(part.substr(dash + 1));
    if (!from || !to || *from < 0 || *to <= *from) return std::nullopt;
    if (!windows.empty() && *from <= windows.back().to_s) return std::nullopt;
    windows.push_back({*from, *to});
  }
  return windows;
}

/// What the columns of one line say of a device.
struct TraceLine {
  std::optional<double> speed, up_mbit_s, down_mbit_s, latency_ms, dropout;
  std::vector<Availability::Window> windows;
  double period_s = 0;
};

/// Takes a value; false: it is not valid.
using Reader = std::function<bool(TraceLine&, std::string_view)>;

Reader number(std::optional<double> TraceLine::*member, double least, bool least_too,
              double below = std::numeric_limits<double>::infinity()) {
  return [=](TraceLine& line, std::string_view text) {
    const auto value = number_of(text);
    if (!value || *value < least || (*value == least && !least_too) || *value >= below) return false;
    line.*member = value;
    return true;
  };
}

struct Column {
  std::string valid;
  Reader read;
};

const std::map<std::string, Column, std::less<>>& columns() {
  static const auto all = std::map<std::string, Column, std::less<>>{
      {"speed", {"a number above 0", number(&TraceLine::speed, 0, false)}},
      {"up_mbit_s", {"a number of at least 0", number(&TraceLine::up_mbit_s, 0, true)}},
      {"down_mbit_s", {"a number of at least 0", number(&TraceLine::down_mbit_s, 0, true)}},
      {"latency_ms", {"a number of at least 0", number(&TraceLine::latency_ms, 0, true)}},
      {"dropout", {"a number from 0 to below 1", number(&TraceLine::dropout, 0, true, 1)}},
      {"online_s",
       {"windows FROM-TO in rising order, such as 0-3600 7200-inf",
        [](TraceLine& line, std::string_view text) {
          auto windows = windows_of(text);
          if (windows) line.windows = std::move(*windows);
          return windows.has_value();
        }}},
      {"online_period_s",
       {"a number of at least 0",
        [](TraceLine& line, std::string_view text) {
          const auto value = number_of(text);
          if (!value || *value < 0 || std::isinf(*value)) return false;
          line.period_s = *value;
          return true;
        }}},
  };
  return all;
}

std::string names_of_columns() {
  auto names = std::string();
  for (const auto& [name, column] : columns()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

Result<std::vector<TraceLine>> read_trace(const std::filesystem::path& path) {
  auto file = std::ifstream(path);
  if (!file)
    return fail(ec::bad_config, "clients.trace = \"" + path.string() + "\" cannot be read; give a CSV file");
  auto header = std::vector<std::pair<std::string, const Column*>>();
  auto devices = std::vector<TraceLine>();
  auto text = std::string();
  for (auto number = 1; std::getline(file, text); ++number) {
    const auto refuse = [&](const std::string& what) {
      return fail(ec::bad_config, path.string() + ":" + std::to_string(number) + ": " + what);
    };
    if (trimmed(text).empty() || text.starts_with('#')) continue;
    const auto cells = split(text, ',');
    if (header.empty()) {
      for (const auto name : cells) {
        const auto found = columns().find(name);
        if (found == columns().end())
          return refuse("unknown column \"" + std::string(name) + "\"; there are " + names_of_columns());
        header.emplace_back(found->first, &found->second);
      }
      continue;
    }
    if (cells.size() != header.size())
      return refuse(std::to_string(cells.size()) + " values where the header names " +
                    std::to_string(header.size()) + " columns");
    auto device = TraceLine();
    for (auto i = std::size_t{0}; i < cells.size(); ++i)
      if (const auto& [name, column] = header[i]; !cells[i].empty() && !column->read(device, cells[i]))
        return refuse(name + " = \"" + std::string(cells[i]) + "\"; valid is " + column->valid);
    if (device.period_s > 0 && !device.windows.empty() && device.windows.back().to_s > device.period_s)
      return refuse("online_s ends after online_period_s = " + std::to_string(device.period_s));
    devices.push_back(std::move(device));
  }
  if (devices.empty()) return fail(ec::bad_config, path.string() + ": no device in it");
  return devices;
}

void apply(const TraceLine& line, ClientProfile& profile) {
  if (line.speed) profile.speed = *line.speed;
  if (line.up_mbit_s) profile.up_bytes_per_s = *line.up_mbit_s * kBytesPerMbit;
  if (line.down_mbit_s) profile.down_bytes_per_s = *line.down_mbit_s * kBytesPerMbit;
  if (line.latency_ms) profile.latency_s = *line.latency_ms / 1000;
  if (line.dropout) profile.dropout = *line.dropout;
  if (!line.windows.empty())
    profile.availability = std::make_shared<const Availability>(line.windows, line.period_s);
}

}  // namespace

// -- What is drawn ------------------------------------------------------------------------------------------

std::vector<double> client_speeds(const ClientsOptions& clients, std::uint64_t seed) {
  if (clients.speed == "list") return clients.speed_list;
  auto speeds = std::vector<double>(clients.count, 1.0);
  if (clients.speed == "uniform") return speeds;
  for (std::uint32_t client = 0; client < clients.count; ++client) {
    auto random = stream_of(seed, "speed", client);
    speeds[client] = clients.speed == "pareto" ? std::pow(1 - random.uniform(), -1 / clients.speed_pareto)
                                               : std::exp(clients.speed_sigma * random.normal());
  }
  const auto fastest = *std::min_element(speeds.begin(), speeds.end());
  for (auto& speed : speeds) speed /= fastest;
  return speeds;
}

Result<std::vector<ClientProfile>> client_profiles(const ClientsOptions& clients, std::uint64_t seed) {
  auto profiles = std::vector<ClientProfile>(clients.count);
  const auto speeds = client_speeds(clients, seed);
  for (auto client = std::uint32_t{0}; client < clients.count; ++client) {
    auto& profile = profiles[client];
    profile.speed = speeds[client];
    auto network = stream_of(seed, "network", client);
    const auto quality = clients.network_sigma > 0 ? std::exp(clients.network_sigma * network.normal()) : 1.0;
    profile.up_bytes_per_s = clients.up_mbit_s * kBytesPerMbit * quality;
    profile.down_bytes_per_s = clients.down_mbit_s * kBytesPerMbit * quality;
    profile.latency_s = clients.latency_ms / 1000;
    profile.dropout = clients.dropout;
    auto when = stream_of(seed, "availability", client);
    if (clients.availability == "diurnal")
      profile.availability = std::make_shared<const Availability>(
          Availability::daily(clients.online_share, clients.day_s, when.uniform() * clients.day_s));
    else if (clients.join_spread_s > 0)
      profile.availability = std::make_shared<const Availability>(std::vector<Availability::Window>{
          {when.uniform() * clients.join_spread_s, std::numeric_limits<double>::infinity()}});
  }
  if (clients.trace.empty()) return profiles;
  const auto trace = read_trace(clients.trace);
  if (!trace) return tl::unexpected(trace.error());
  for (auto client = std::size_t{0}; client < profiles.size(); ++client)
    apply((*trace)[client % trace->size()], profiles[client]);
  return profiles;
}

}  // namespace fl
