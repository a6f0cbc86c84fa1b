// The three roles of a node.
#pragma once

#include "runtime/command_line.hpp"

namespace fl {

/// A whole federation in this process.
ExitCode run_simulation(const CommandLine& command_line, const Config& config);

/// The server; clients come over the network.
ExitCode run_aggregator(const CommandLine& command_line, const Config& config);

/// One client.
ExitCode run_client(const CommandLine& command_line, const Config& config);

}  // namespace fl
