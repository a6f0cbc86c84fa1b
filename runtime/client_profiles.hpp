// What the devices of a simulated federation are like.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "learning/simulation/client_profile.hpp"
#include "messages/errors.hpp"
#include "runtime/config.hpp"

namespace fl {

/// What multiplies each client's time for a task, [clients.count]: 10 takes ten times as long.
///   uniform    1 for all
///   lognormal  e^(σ z), z ~ N(0, 1), divided by the fastest one's, so that the fastest has 1
///   pareto     u^(−1/α), u uniform in (0, 1], divided in the same way: a few are very slow
///   list       clients.speed_list
/// The same seed gives the same speeds on every machine.
std::vector<double> client_speeds(const ClientsOptions& clients, std::uint64_t seed);

/// Every client's profile, [clients.count]: as clients.* say, and where there is a trace, as its columns say
/// instead. Fails with `bad_config`, naming file, line and column.
///
/// The trace is a CSV file: a header that names its columns, then a line a device; lines that begin with #
/// are skipped. With fewer lines than clients they are used again from the start. Columns, all optional, in
/// any order:
///   speed          multiplies the time of computing, > 0
///   up_mbit_s      0: no limit
///   down_mbit_s    0: no limit
///   latency_ms     before each transfer
///   dropout        probability that a task is given up, in [0, 1)
///   online_s       when the device is there: windows "FROM-TO" in seconds, rising, separated by spaces; TO
///   may be
///                  "inf"; empty: always
///   online_period_s  after which the windows repeat; 0: they do not
Result<std::vector<ClientProfile>> client_profiles(const ClientsOptions& clients, std::uint64_t seed);

}  // namespace fl
