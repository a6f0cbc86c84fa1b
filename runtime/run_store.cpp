#include "runtime/run_store.hpp"

#include <array>
#include <cstdio>
#include <random>

#include "runtime/run_store_schema.hpp"

namespace fl {

namespace {

std::int64_t signed_of(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

std::string new_run_id() {
  auto entropy = std::random_device();
  auto id = std::string();
  for (auto word = 0; word < 4; ++word) {
    auto digits = std::array<char, 9>();
    std::snprintf(digits.data(), digits.size(), "%08x", static_cast<unsigned>(entropy()));
    id += digits.data();
  }
  return id;
}

}  // namespace

// -- The run --------------------------------------------------------------------------------------

RunStore::RunStore(const std::filesystem::path& folder, RunStoreOptions options, SqliteDatabase database)
    : database_(std::move(database)),
      metrics_(folder / "metrics.jsonl"),
      snapshots_(folder / "checkpoints", std::move(options.identity), options.keep_snapshots),
      spool_(folder / "spool") {}

Result<std::shared_ptr<RunStore>> RunStore::open(const std::filesystem::path& folder,
                                                 RunStoreOptions options) {
  const auto file = folder / kRunDatabaseName;
  auto database = SqliteDatabase::open(file, SqliteDatabase::Access::create);
  if (!database) return tl::unexpected(database.error());
  if (auto ok = database->script(
          "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON");
      !ok)
    return tl::unexpected(ok.error());
  if (auto ok = prepare_run_tables(*database, file); !ok) return tl::unexpected(ok.error());
  auto store = std::shared_ptr<RunStore>(new RunStore(folder, std::move(options), std::move(*database)));
  if (auto ok = store->begin(); !ok) return tl::unexpected(ok.error());
  return store;
}

Result<void> RunStore::begin() {
  auto error = std::error_code();
  std::filesystem::create_directories(spool_, error);
  if (error) return fail(ec::io_failed, "cannot create " + spool_.string() + ": " + error.message());
  return database_.durable_transaction([&]() -> Result<void> {
    auto ok = database_.run(
        "INSERT OR IGNORE INTO run (id, run_id, state, epoch, created_at, software_version) "
        "VALUES (1, ?, 'running', 0, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), ?)",
        {new_run_id(), std::string(FL_VERSION)});
    if (!ok) return ok;
    return database_.run("SELECT run_id FROM run", {}, [&](const SqlRow& row) { run_id_ = row.text(0); });
  });
}

RunStore::~RunStore() {
  // One self-contained file is left, which can be copied and read without writing beside it.
  (void)database_.script("PRAGMA journal_mode = DELETE");
  auto error = std::error_code();
  std::filesystem::remove(spool_, error);  // stays while something is in it
}

Result<RunState> RunStore::state() {
  const auto lock = std::lock_guard(mutex_);
  auto state = RunState::running;
  auto ok = database_.run("SELECT state FROM run", {},
                          [&](const SqlRow& row) { state = run_state_of(row.text(0)); });
  if (!ok) return tl::unexpected(ok.error());
  return state;
}

Result<void> RunStore::set_state(RunState state) {
  const auto lock = std::lock_guard(mutex_);
  return database_.durable_transaction(
      [&] { return database_.run("UPDATE run SET state = ?", {std::string(to_string(state))}); });
}

Result<Epoch> RunStore::next_epoch() {
  const auto lock = std::lock_guard(mutex_);
  auto epoch = Epoch{0};
  auto ok = database_.durable_transaction([&] {
    return database_.run("UPDATE run SET epoch = epoch + 1 RETURNING epoch", {},
                         [&](const SqlRow& row) { epoch = static_cast<Epoch>(row.integer(0)); });
  });
  if (!ok) return tl::unexpected(ok.error());
  return epoch;
}

// -- Clients --------------------------------------------------------------------------------------

Result<ClientId> RunStore::bind_client(const std::string& name, std::uint32_t clients_count,
                                       const std::set<ClientId>& connected) {
  const auto lock = std::lock_guard(mutex_);
  auto bound = std::map<ClientId, std::string>();
  const auto collect = [&](const SqlRow& row) { bound[static_cast<ClientId>(row.integer(0))] = row.text(1); };
  if (auto ok = database_.run("SELECT client, name FROM clients", {}, collect); !ok)
    return tl::unexpected(ok.error());
  for (const auto& [client, owner] : bound) {
    if (owner == name && client < clients_count) return client;
  }
  auto place = std::optional<ClientId>();
  for (auto client = ClientId{0}; client < clients_count && !place; ++client) {
    if (!bound.contains(client)) place = client;
  }
  for (auto client = ClientId{0}; client < clients_count && !place; ++client) {
    if (!connected.contains(client)) place = client;
  }
  if (!place)
    return fail(ec::hello_refused,
                "all " + std::to_string(clients_count) +
                    " places of the federation (clients.count) are taken by connected clients");
  auto ok = database_.durable_transaction([&]() -> Result<void> {
    auto removed =
        database_.run("DELETE FROM clients WHERE client = ? OR name = ?", {std::int64_t{*place}, name});
    if (!removed) return removed;
    return database_.run("INSERT INTO clients (client, name) VALUES (?, ?)", {std::int64_t{*place}, name});
  });
  if (!ok) return tl::unexpected(ok.error());
  return *place;
}

Result<void> RunStore::save_client(const ClientRecord& client) {
  const auto lock = std::lock_guard(mutex_);
  return database_.run(
      "INSERT INTO clients (client, name, samples, label_histogram) VALUES (?, ?, ?, ?) "
      "ON CONFLICT (client) DO UPDATE SET name = excluded.name, samples = excluded.samples, "
      "label_histogram = excluded.label_histogram",
      {std::int64_t{client.client}, client.name, signed_of(client.samples),
       histogram_text(client.label_histogram)});
}

Result<std::vector<ClientRecord>> RunStore::clients() {
  const auto lock = std::lock_guard(mutex_);
  auto clients = std::vector<ClientRecord>();
  auto ok = database_.run("SELECT client, name, samples, label_histogram FROM clients ORDER BY client", {},
                          [&](const SqlRow& row) {
                            clients.push_back({static_cast<ClientId>(row.integer(0)), row.text(1),
                                               row.count(2), histogram_of(row.text(3))});
                          });
  if (!ok) return tl::unexpected(ok.error());
  return clients;
}

// -- Snapshots ------------------------------------------------------------------------------------

Result<void> RunStore::save_snapshot(const AggregationState& state, TaskId next_task) {
  const auto files_lock = std::lock_guard(snapshots_mutex_);
  const auto file = snapshots_.save(state, next_task);
  if (!file) return tl::unexpected(file.error());
  auto error = std::error_code();
  const auto size = std::filesystem::file_size(*file, error);
  const auto kept = snapshots_.versions();
  const auto lock = std::lock_guard(mutex_);
  return database_.transaction([&]() -> Result<void> {
    if (auto ok = database_.run("DELETE FROM snapshots WHERE version < ?", {signed_of(kept.front())}); !ok)
      return ok;
    return database_.run(
        "INSERT OR REPLACE INTO snapshots (version, file, bytes, updates_accepted, written_at) "
        "VALUES (?, ?, ?, ?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
        {signed_of(state.version), file->filename().string(), signed_of(size),
         signed_of(state.updates_accepted)});
  });
}

Result<std::optional<StoredSnapshot>> RunStore::load_snapshot(const LayoutPtr& layout) {
  const auto files_lock = std::lock_guard(snapshots_mutex_);
  return snapshots_.load(layout);
}

// -- Updates and versions -------------------------------------------------------------------------

Result<void> RunStore::save_updates(std::span<const UpdateRecord> updates) {
  if (updates.empty()) return {};
  const auto lock = std::lock_guard(mutex_);
  return database_.transaction([&]() -> Result<void> {
    for (const auto& update : updates) {
      if (auto ok = insert_update(database_, update); !ok) return ok;
    }
    return {};
  });
}

Result<void> RunStore::save_version(const VersionRecord& version) {
  const auto lock = std::lock_guard(mutex_);
  return insert_version(database_, version);
}

Result<void> RunStore::complete_version(Version version, const std::optional<Evaluation>& evaluation) {
  const auto lock = std::lock_guard(mutex_);
  auto completed = std::optional<VersionRecord>();
  const auto value = [&](double Evaluation::*member) -> SqlValue {
    if (evaluation) return (*evaluation).*member;
    return nullptr;
  };
  auto ok = database_.run(
      "UPDATE versions SET complete = 1, eval_loss = ?, eval_accuracy = ?, evaluated_samples = ? "
      "WHERE version = ? AND complete = 0 RETURNING " +
          std::string(kVersionColumns),
      {value(&Evaluation::loss), value(&Evaluation::accuracy),
       evaluation ? SqlValue(signed_of(evaluation->samples)) : SqlValue(nullptr), signed_of(version)},
      [&](const SqlRow& row) { completed = version_of_row(row); });
  if (!ok) return ok;
  // The row comes first: a crash between the two costs a line until the next start writes it, never doubles
  // one.
  return completed ? metrics_.append(*completed) : Result<void>();
}

Result<RunTotals> RunStore::roll_back(Version version) {
  const auto files_lock = std::lock_guard(snapshots_mutex_);
  const auto lock = std::lock_guard(mutex_);
  auto done = database_.transaction([&]() -> Result<void> {
    const auto above = signed_of(version);
    for (const auto* sql :
         {"DELETE FROM versions WHERE version > ?", "DELETE FROM snapshots WHERE version > ?",
          "DELETE FROM updates WHERE folded_into > ?"}) {
      if (auto ok = database_.run(sql, {above}); !ok) return ok;
    }
    // What has no line yet has one after this.
    if (auto ok = database_.run("UPDATE versions SET complete = 1"); !ok) return ok;
    return database_.run(
        "DELETE FROM updates WHERE folded_into = 0 AND time_s > (SELECT coalesce(max(time_s), -1) FROM "
        "versions)");
  });
  if (done) done = snapshots_.remove_above(version);
  if (!done) return tl::unexpected(done.error());
  const auto left = select_versions(database_, "ORDER BY version");
  if (!left) return tl::unexpected(left.error());
  if (auto ok = metrics_.replace(*left); !ok) return tl::unexpected(ok.error());
  return left->empty() ? RunTotals() : left->back().totals;
}

Result<std::optional<VersionRecord>> RunStore::last_version() {
  const auto lock = std::lock_guard(mutex_);
  return newest_version(database_);
}

std::optional<double> RunStore::best_accuracy() {
  const auto lock = std::lock_guard(mutex_);
  return best_accuracy_in(database_);
}

}  // namespace fl
