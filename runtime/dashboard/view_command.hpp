// `fl_actor_node view RUN_DIR`: the dashboard of a run that this process does not work on.
#pragma once

#include <string>

#include "runtime/command_line.hpp"

namespace fl {

/// Serves until SIGINT or SIGTERM.
ExitCode view_run(const std::string& folder, const DashboardOptions& options);

}  // namespace fl
