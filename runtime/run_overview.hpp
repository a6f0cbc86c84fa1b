// A run in a few words, for tables of runs: what its folder tells, whoever works there.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "messages/errors.hpp"
#include "messages/ids.hpp"
#include "runtime/config.hpp"
#include "runtime/report.hpp"

namespace fl {

struct RunOverview {
  std::string run_id;
  std::string state;             ///< "running", "cut short", "completed", "stopped", "failed"
  std::optional<Config> config;  ///< none: config.toml cannot be read
  Version version = 0;
  std::uint64_t updates = 0;                   ///< accepted
  std::optional<double> best_accuracy;         ///< in [0, 1]; none: not measured
  std::string began;                           ///< UTC, "2024-05-01T12:00:00Z"
  double duration_s = 0;                       ///< of work, summed over resumes
  std::optional<double> simulated_duration_s;  ///< on the virtual clock
};

/// Changes nothing. Fails with `bad_config` when the folder holds no run, or as SQLite does.
Result<RunOverview> read_overview(const std::filesystem::path& folder);

/// The folders that hold runs, at or below `folder`, by name; links are not followed, and folders that may
/// not be read are left out. Fails with `bad_config` when there is no such folder.
Result<std::vector<std::filesystem::path>> find_runs(const std::filesystem::path& folder);

/// A row of the table of runs.
Report overview_row(const std::string& name, const RunOverview& run);

/// What is trained, for people: the model's name, or its file.
std::string model_text(const TrainerOptions& options);

}  // namespace fl
