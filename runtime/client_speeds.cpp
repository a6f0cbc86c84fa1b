#include "runtime/client_speeds.hpp"

#include <algorithm>
#include <cmath>

#include "learning/random.hpp"

namespace fl {

std::vector<double> client_speeds(const ClientsOptions& clients, std::uint64_t seed) {
  if (clients.speed == "list") return clients.speed_list;
  auto speeds = std::vector<double>(clients.count, 1.0);
  if (clients.speed != "lognormal") return speeds;
  for (std::uint32_t client = 0; client < clients.count; ++client)
    speeds[client] =
        std::exp(clients.speed_sigma * RandomStream(stream_seed(seed, "speed", client)).normal());
  const auto fastest = *std::min_element(speeds.begin(), speeds.end());
  for (auto& speed : speeds) speed /= fastest;
  return speeds;
}

}  // namespace fl
