// What a run's folder tells to those who do not hold it.
#include "runtime/run_store.hpp"
#include "runtime/run_store_schema.hpp"

namespace fl {

std::string_view to_string(RunState state) {
  switch (state) {
    case RunState::running:
      return "running";
    case RunState::completed:
      return "completed";
    case RunState::stopped:
      return "stopped";
    case RunState::failed:
      return "failed";
  }
  return "unknown";
}

RunState run_state_of(const std::string& name) {
  for (const auto state : {RunState::running, RunState::completed, RunState::stopped}) {
    if (to_string(state) == name) return state;
  }
  return RunState::failed;
}

Result<std::optional<StoredRun>> read_stored_run(const std::filesystem::path& folder) {
  auto error = std::error_code();
  const auto file = folder / kRunDatabaseName;
  if (!std::filesystem::exists(file, error)) return std::nullopt;
  auto database = SqliteDatabase::open(file, SqliteDatabase::Access::read_only);
  if (!database) return tl::unexpected(database.error());
  auto run = std::optional<StoredRun>();
  auto tables = false;
  if (auto ok = database->run("SELECT 1 FROM sqlite_master WHERE name = 'run'", {},
                              [&](const SqlRow&) { tables = true; });
      !ok)
    return tl::unexpected(ok.error());
  if (!tables) return std::nullopt;  // cut short before anything was stored
  const auto read = [&](const SqlRow& row) {
    run = StoredRun{row.text(0), run_state_of(row.text(1)), row.text(2), {}, {}};
  };
  if (auto ok = database->run("SELECT run_id, state, created_at FROM run", {}, read); !ok)
    return tl::unexpected(ok.error());
  if (!run) return std::nullopt;
  auto last = newest_version(*database);
  if (!last) return tl::unexpected(last.error());
  run->last = *last;
  run->best_accuracy = best_accuracy_in(*database);
  return run;
}

Result<void> pardon_client(const std::filesystem::path& folder, const std::string& name) {
  auto error = std::error_code();
  const auto file = folder / kRunDatabaseName;
  if (!std::filesystem::exists(file, error))
    return fail(ec::bad_config, folder.string() + " holds no run (no " + kRunDatabaseName + ")");
  auto database = SqliteDatabase::open(file, SqliteDatabase::Access::create);
  if (!database) return tl::unexpected(database.error());
  if (auto ok = prepare_run_tables(*database, file); !ok) return ok;
  auto pardoned = false;
  auto ok = database->durable_transaction([&] {
    return database->run("DELETE FROM offenders WHERE name = ? AND quarantined = 1 RETURNING name", {name},
                         [&](const SqlRow&) { pardoned = true; });
  });
  if (!ok) return ok;
  if (!pardoned)
    return fail(ec::bad_config, folder.string() + ": no client named " + name + " is quarantined");
  return {};
}

}  // namespace fl
