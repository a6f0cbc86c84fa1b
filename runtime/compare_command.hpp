// fl_actor_node compare RUN_DIR…: runs side by side, as a page that needs no network.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "runtime/command_line.hpp"

namespace fl {

struct CompareRequest {
  std::vector<std::filesystem::path> folders;  ///< the first is what the others are compared with
  std::filesystem::path out;                   ///< of the page
  std::optional<double> target;                ///< accuracy to reach; none: the lowest of the runs' best ones
};

/// Prints a table (time to the target accuracy, and its ratio to the first run's) and writes the page.
/// Changes nothing in the folders. Done, failed (the page cannot be written), or refused (no such run).
ExitCode compare_runs(const CompareRequest& request);

}  // namespace fl
