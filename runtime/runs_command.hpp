// fl_actor_node runs [DIR]: a table of the runs below a folder.
#pragma once

#include <filesystem>

#include "runtime/command_line.hpp"

namespace fl {

/// Prints a row a run; with `json` a list of objects. A run that cannot be read has the state "unreadable",
/// and why goes to stderr. Done, or refused (no such folder).
ExitCode list_runs(const std::filesystem::path& folder, bool json);

}  // namespace fl
