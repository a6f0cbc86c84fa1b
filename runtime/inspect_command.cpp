#include "runtime/inspect_command.hpp"

#include <spdlog/spdlog.h>

#include <cstdio>

#include "runtime/file_report.hpp"
#include "runtime/run_overview.hpp"
#include "runtime/run_store_schema.hpp"
#include "runtime/snapshot_file.hpp"

namespace fl {

namespace fs = std::filesystem;

namespace {

/// Clients that are listed: those with the most accepted updates.
constexpr auto kListedClients = 100;

Result<Report> clients_of(SqliteDatabase& database) {
  auto rows = Report::array();
  auto ok = database.run(
      "SELECT client, name, samples, count(task), total(bytes) FROM clients LEFT JOIN "
      "(SELECT client AS giver, task, bytes FROM updates WHERE decision = 'none') ON giver = client "
      "GROUP BY client ORDER BY count(task) DESC, client LIMIT " +
          std::to_string(kListedClients),
      {}, [&](const SqlRow& row) {
        auto client = Report();
        client["client"] = row.count(0);
        client["name"] = row.text(1);
        client["samples"] = row.count(2);
        client["updates"] = row.count(3);
        client["sent_bytes"] = row.count(4);
        rows.push_back(std::move(client));
      });
  if (!ok) return tl::unexpected(ok.error());
  return rows;
}

/// Of a file, or of all files in a folder.
std::uint64_t size_of(const fs::directory_entry& entry) {
  auto error = std::error_code();
  if (!entry.is_directory(error)) return entry.is_regular_file(error) ? entry.file_size(error) : 0;
  auto bytes = std::uint64_t{0};
  for (const auto& inner : fs::directory_iterator(entry, error))
    if (inner.is_regular_file(error)) bytes += inner.file_size(error);
  return bytes;
}

Report files_in(const fs::path& folder) {
  auto error = std::error_code();
  auto sizes = std::map<std::string, std::uint64_t>();
  for (const auto& entry : fs::directory_iterator(folder, error))
    sizes[entry.path().filename().string() + (entry.is_directory(error) ? "/" : "")] = size_of(entry);
  auto rows = Report::array();
  for (const auto& [name, bytes] : sizes) rows.push_back({{"name", name}, {"size_bytes", bytes}});
  return rows;
}

}  // namespace

Result<Report> describe_run_folder(const fs::path& folder) {
  const auto run = read_overview(folder);
  if (!run) return tl::unexpected(run.error());
  auto database = SqliteDatabase::open(folder / kRunDatabaseName, SqliteDatabase::Access::read_only);
  if (!database) return tl::unexpected(database.error());
  auto report = overview_row(folder.string(), *run);
  report["simulated_duration_s"] =
      run->simulated_duration_s ? Report(*run->simulated_duration_s) : Report(nullptr);
  const auto last = newest_version(*database);
  if (!last) return tl::unexpected(last.error());
  if (*last) {
    const auto& totals = (*last)->totals;
    report["last_accuracy"] = (*last)->eval_accuracy ? Report(*(*last)->eval_accuracy) : Report(nullptr);
    if (!totals.updates_rejected.empty()) report["updates_refused"] = totals.updates_rejected;
    report["up_bytes"] = totals.bytes_up;
    report["down_bytes"] = totals.bytes_down;
  }
  report["run_id"] = run->run_id;
  report["kept_versions"] = SnapshotFolder(folder / "checkpoints", {}, 1).versions();
  auto clients = clients_of(*database);
  if (!clients) return tl::unexpected(clients.error());
  report["known_clients"] = std::move(*clients);
  report["files"] = files_in(folder);
  return report;
}

ExitCode inspect(const fs::path& path, bool json) {
  auto error = std::error_code();
  const auto report = fs::is_directory(path, error) ? describe_run_folder(path) : describe_model_file(path);
  if (!report) {
    spdlog::error("{}", report.error().text);
    return ExitCode::refused;
  }
  std::fputs((json ? report_json(*report) : report_text(*report)).c_str(), stdout);
  return ExitCode::done;
}

}  // namespace fl
