// fl_actor_node inspect FILE|RUN_DIR: what a file of a model, or a run's folder, holds.
#pragma once

#include <filesystem>

#include "runtime/command_line.hpp"
#include "runtime/report.hpp"

namespace fl {

/// Of a run's folder: how the run is, who took part, what is kept in which files. Fails with `bad_config`
/// when it holds no run, or as SQLite does.
Result<Report> describe_run_folder(const std::filesystem::path& folder);

/// Prints what is there; with `json` for programs. Changes nothing. Done, or refused (missing, damaged,
/// foreign).
ExitCode inspect(const std::filesystem::path& path, bool json);

}  // namespace fl
