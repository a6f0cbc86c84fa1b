// How fast each client of a simulation is.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/config.hpp"

namespace fl {

/// What multiplies each client's time for a task, [clients.count]: 10 takes ten times as long.
///   uniform    1 for all
///   lognormal  e^(σ z), z ~ N(0, 1), divided by the fastest one's, so that the fastest has 1
///   list       clients.speed_list
/// The same seed gives the same speeds on every machine.
std::vector<double> client_speeds(const ClientsOptions& clients, std::uint64_t seed);

}  // namespace fl
