#include "runtime/runs_command.hpp"

#include <spdlog/spdlog.h>

#include <cstdio>

#include "runtime/run_overview.hpp"

namespace fl {

ExitCode list_runs(const std::filesystem::path& folder, bool json) {
  const auto found = find_runs(folder);
  if (!found) {
    spdlog::error("{}", found.error().text);
    return ExitCode::refused;
  }
  auto rows = Report::array();
  for (const auto& path : *found) {
    const auto name = path == folder ? path.string() : path.lexically_relative(folder).string();
    const auto run = read_overview(path);
    auto row = overview_row(name, run.value_or(RunOverview()));
    if (!run) {
      spdlog::warn("{} cannot be read: {}", path.string(), run.error().text);
      for (auto& value : row) value = nullptr;
      row["name"] = name;
      row["state"] = "unreadable";
    }
    rows.push_back(std::move(row));
  }
  if (rows.empty() && !json) spdlog::info("there are no runs in {}", folder.string());
  std::fputs((json ? report_json(rows) : report_text(rows)).c_str(), stdout);
  return ExitCode::done;
}

}  // namespace fl
