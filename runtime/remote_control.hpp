// `fl_actor_node status`, `health` and `stop`: look at, and end, a run of another process.
#pragma once

#include "runtime/command_line.hpp"

namespace fl {

/// Prints how the run at RUN_DIR or HOST[:PORT] goes.
ExitCode show_status(const std::string& target, const NetOptions& net);

/// Prints "ready", "live, not ready: why" or "down: why" of the run at RUN_DIR or HOST[:PORT]; done only when
/// it is ready: clients can be given work.
ExitCode show_health(const std::string& target, const NetOptions& net);

/// Asks the process behind RUN_DIR or HOST[:PORT] to drain, save and end.
ExitCode stop_run(const std::string& target, const NetOptions& net);

/// Lets a quarantined client take part again, in a folder that may be in use; it need not.
ExitCode pardon(const std::string& folder, const std::string& name);

}  // namespace fl
