#include "runtime/run_overview.hpp"

#include <algorithm>

#include "runtime/run_folder.hpp"
#include "runtime/run_store.hpp"
#include "runtime/run_store_schema.hpp"

namespace fl {

namespace fs = std::filesystem;

namespace {

/// A process that was killed could not say that its run does not go on.
std::string state_text(const StoredRun& run, const fs::path& folder) {
  if (run.state == RunState::running && !holder_of(folder)) return "cut short";
  return std::string(to_string(run.state));
}

bool holds_run_database(const fs::path& folder) {
  auto error = std::error_code();
  return fs::exists(folder / kRunDatabaseName, error);
}

}  // namespace

Result<RunOverview> read_overview(const fs::path& folder) {
  const auto run = read_stored_run(folder);
  if (!run) return tl::unexpected(run.error());
  if (!*run)
    return fail(ec::bad_config,
                folder.string() + " holds no run (no " + kRunDatabaseName + ", or nothing in it yet)");
  auto overview = RunOverview();
  overview.run_id = (*run)->run_id;
  overview.state = state_text(**run, folder);
  if (auto config = load_config(ConfigSources{{folder / "config.toml"}, {}}))
    overview.config = std::move(*config);
  overview.began = (*run)->created_at;
  overview.best_accuracy = (*run)->best_accuracy;
  if (const auto& last = (*run)->last) {
    overview.version = last->version;
    overview.updates = last->totals.updates_accepted;
    overview.duration_s = last->totals.wall_seconds;
    overview.simulated_duration_s = last->virtual_s;
  }
  return overview;
}

Result<std::vector<fs::path>> find_runs(const fs::path& folder) {
  auto error = std::error_code();
  if (!fs::is_directory(folder, error))
    return fail(ec::bad_config, folder.string() + " is no folder; give one that holds run folders");
  auto found = std::vector<fs::path>();
  if (holds_run_database(folder)) return std::vector{folder};
  auto entries =
      fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied, error);
  for (; entries != fs::recursive_directory_iterator(); entries.increment(error)) {
    if (error) break;
    auto unreadable = std::error_code();
    if (!entries->is_directory(unreadable) || !holds_run_database(entries->path())) continue;
    found.push_back(entries->path());
    entries.disable_recursion_pending();
  }
  std::ranges::sort(found);
  return found;
}

std::string model_text(const TrainerOptions& options) {
  return options.model_file.empty() ? options.model : options.model_file.string();
}

Report overview_row(const std::string& name, const RunOverview& run) {
  const auto& config = run.config;
  auto row = Report();
  row["name"] = name;
  row["state"] = run.state;
  row["strategy"] = config ? Report(to_string(config->strategy.name)) : Report(nullptr);
  row["model"] = config ? Report(model_text(config->trainer)) : Report(nullptr);
  row["clients"] = config ? Report(config->clients.count) : Report(nullptr);
  row["version"] = run.version;
  row["updates"] = run.updates;
  row["best_accuracy"] = or_null(run.best_accuracy);
  row["began"] = run.began;
  row["duration_s"] = run.duration_s;
  return row;
}

}  // namespace fl
