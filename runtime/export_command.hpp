// fl_actor_node export RUN_DIR: what a run measured, decided and made, for other programs.
#pragma once

#include <filesystem>
#include <optional>

#include "runtime/command_line.hpp"

namespace fl {

struct ExportRequest {
  std::filesystem::path folder;
  ExportFormat format = ExportFormat::metrics;
  std::optional<Version> version;            ///< of a model; none: the newest whose snapshot is kept
  std::optional<std::filesystem::path> out;  ///< none: tables go to stdout; a model needs it
};

/// Writes `out` whole or not at all, and never over a file that is there. Changes nothing in the run's
/// folder. Done, failed (it cannot be written), or refused (no such run or version, damaged, `out` is there).
ExitCode export_run(const ExportRequest& request);

}  // namespace fl
