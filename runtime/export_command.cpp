#include "runtime/export_command.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>

#include "runtime/atomic_file.hpp"
#include "runtime/csv.hpp"
#include "runtime/run_overview.hpp"
#include "runtime/run_store_schema.hpp"
#include "runtime/safetensors.hpp"
#include "runtime/snapshot_file.hpp"

namespace fl {

namespace fs = std::filesystem;

namespace {

// -- Tables ---------------------------------------------------------------------------------------

Result<std::string> metrics_table(const fs::path& folder) {
  const auto path = folder / "metrics.jsonl";
  const auto file = FileSource::open(path);
  if (!file) return tl::unexpected(file.error());
  auto lines = std::string((*file)->size(), ' ');
  if (auto ok = (*file)->read(0, std::as_writable_bytes(std::span(lines))); !ok)
    return tl::unexpected(ok.error());
  auto table = csv_of_json_lines(lines);
  if (!table) return fail(table.error().code, path.string() + ": " + table.error().text);
  return table;
}

/// Every column that the table of decisions has, whichever program made it, and the client's name.
Result<std::string> updates_table(const fs::path& folder) {
  auto database = SqliteDatabase::open(folder / kRunDatabaseName, SqliteDatabase::Access::read_only);
  if (!database) return tl::unexpected(database.error());
  auto columns = std::vector<std::string>();
  auto ok = database->run("SELECT name FROM pragma_table_info('updates')", {},
                          [&](const SqlRow& row) { columns.push_back(row.text(0)); });
  if (!ok) return tl::unexpected(ok.error());
  auto selected = std::string();
  for (const auto& column : columns)
    // SQLite's integers have a sign.
    selected += column == "hash" ? "CASE WHEN u.hash IS NOT NULL THEN printf('%016x', u.hash) END, "
                                 : "u." + column + ", ";
  columns.push_back("client_name");
  auto table = csv_row(columns);
  auto fields = std::vector<std::string>(columns.size());
  ok = database->run("SELECT " + selected +
                         "c.name FROM updates u LEFT JOIN clients c ON c.client = u.client "
                         "ORDER BY u.sequence",
                     {}, [&](const SqlRow& row) {
                       for (auto i = 0; i < static_cast<int>(fields.size()); ++i) fields[i] = row.text(i);
                       table += csv_row(fields);
                     });
  if (!ok) return tl::unexpected(ok.error());
  return table;
}

// -- Models ---------------------------------------------------------------------------------------

/// The snapshot of the wanted version, or of the newest one.
Result<fs::path> snapshot_of(const ExportRequest& request) {
  const auto snapshots = SnapshotFolder(request.folder / "checkpoints", {}, 1);
  const auto kept = snapshots.versions();
  if (kept.empty())
    return fail(ec::bad_config, request.folder.string() + " keeps no snapshot of any version");
  const auto version = request.version.value_or(kept.back());
  if (std::ranges::find(kept, version) == kept.end())
    return fail(ec::bad_config, fmt::format("--version {}: {} keeps snapshots of {} only "
                                            "(store.keep_snapshots says how many)",
                                            version, request.folder.string(), fmt::join(kept, ", ")));
  return snapshots.file_of(version);
}

Result<void> export_safetensors(const fs::path& snapshot, const std::string& run_id, const fs::path& out) {
  const auto stored = read_snapshot_of_any_run(snapshot);
  if (!stored) return tl::unexpected(stored.error());
  return write_safetensors(*stored->snapshot.state.model,
                           {{"format", "pt"},
                            {"model", stored->identity.model},
                            {"version", std::to_string(stored->snapshot.state.version)},
                            {"run_id", run_id}},
                           out);
}

/// A copy of a file that was found whole.
Result<void> export_snapshot(const fs::path& snapshot, const fs::path& out) {
  if (const auto whole = read_snapshot_of_any_run(snapshot); !whole) return tl::unexpected(whole.error());
  const auto file = FileSource::open(snapshot);
  if (!file) return tl::unexpected(file.error());
  return write_atomically(out, **file);
}

/// An existing file stays, and so does one of the name that ours has while it is written.
Result<void> check_free(const fs::path& out) {
  for (const auto& path : {out, fs::path(out.string() + std::string(kTemporaryEnding))}) {
    auto error = std::error_code();
    if (fs::exists(fs::symlink_status(path, error)))
      return fail(ec::bad_config, path.string() + " is there already; remove it, or choose another --out");
  }
  return {};
}

Result<void> export_table(Result<std::string> table, const std::optional<fs::path>& out) {
  if (!table) return tl::unexpected(table.error());
  if (out) return write_atomically(*out, *table);
  std::fwrite(table->data(), 1, table->size(), stdout);
  return {};
}

Result<void> carry_out(const ExportRequest& request) {
  const auto run = read_overview(request.folder);
  if (!run) return tl::unexpected(run.error());
  if (request.out)
    if (auto ok = check_free(*request.out); !ok) return ok;
  if (request.format == ExportFormat::metrics)
    return export_table(metrics_table(request.folder), request.out);
  if (request.format == ExportFormat::updates)
    return export_table(updates_table(request.folder), request.out);
  const auto snapshot = snapshot_of(request);
  if (!snapshot) return tl::unexpected(snapshot.error());
  return request.format == ExportFormat::snapshot ? export_snapshot(*snapshot, *request.out)
                                                  : export_safetensors(*snapshot, run->run_id, *request.out);
}

}  // namespace

ExitCode export_run(const ExportRequest& request) {
  const auto done = carry_out(request);
  if (!done) {
    spdlog::error("{}", done.error().text);
    const auto disk = done.error().code == ec::io_failed || done.error().code == ec::store_full;
    return disk ? ExitCode::failed : ExitCode::refused;
  }
  if (request.out) std::printf("%s\n", request.out->c_str());
  return ExitCode::done;
}

}  // namespace fl
