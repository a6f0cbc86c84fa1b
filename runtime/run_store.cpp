#include "runtime/run_store.hpp"

#include <array>
#include <cstdio>
#include <random>

#include "runtime/atomic_file.hpp"
#include "runtime/run_store_schema.hpp"

namespace fl {

namespace {

/// Lives of the scheduler that are on disk before they are lived: it can be restarted while the disk is full.
constexpr Epoch kEpochsAtOnce = 100;

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
      ledger_(folder / "updates", options.ledger),
      spool_(folder / "spool") {
  if (options.tensorboard) tensorboard_.emplace(folder / "tensorboard");
}

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

/// Without the ledger, updates that no snapshot covers would be lost.
Result<void> RunStore::check_durability() {
  if (keeps_updates()) return {};
  auto uncovered = std::uint64_t{0};
  auto ok = database_.run(
      "SELECT count(*) FROM updates WHERE number > coalesce((SELECT updates_accepted FROM snapshots ORDER BY "
      "version DESC LIMIT 1), 0)",
      {}, [&](const SqlRow& row) { uncovered = row.count(0); });
  if (!ok || uncovered == 0) return ok;
  return fail(ec::run_folder_refused,
              std::to_string(uncovered) +
                  " accepted updates of this run are in its ledger, but in no snapshot yet; with "
                  "store.durability = \"snapshot\" they would be lost. Resume it with store.durability = "
                  "\"update\"; once it was stopped in order (fl_actor_node stop), the other may be chosen");
}

Result<void> RunStore::begin() {
  if (auto ok = check_durability(); !ok) return ok;
  auto error = std::error_code();
  std::filesystem::create_directories(spool_, error);
  if (error) return fail(ec::io_failed, "cannot create " + spool_.string() + ": " + error.message());
  if (auto ok = ledger_.begin(database_); !ok) return ok;
  clean_spool(true);
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
  if (next_epoch_ == 0 || next_epoch_ + kEpochsAtOnce / 2 > last_epoch_) {
    auto taken = Epoch{0};
    auto ok = database_.durable_transaction([&] {
      return database_.run("UPDATE run SET epoch = epoch + ? RETURNING epoch", {std::int64_t{kEpochsAtOnce}},
                           [&](const SqlRow& row) { taken = static_cast<Epoch>(row.integer(0)); });
    });
    if (!ok && (next_epoch_ == 0 || next_epoch_ > last_epoch_)) return tl::unexpected(ok.error());
    if (next_epoch_ == 0) next_epoch_ = taken - kEpochsAtOnce + 1;
    if (ok) last_epoch_ = taken;
  }
  return next_epoch_++;
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
  return write_client(client);
}

Result<void> RunStore::save_clients(std::size_t count, const std::function<ClientRecord(ClientId)>& record) {
  const auto lock = std::lock_guard(mutex_);
  return database_.transaction([&]() -> Result<void> {
    for (auto client = std::size_t{0}; client < count; ++client)
      if (auto ok = write_client(record(static_cast<ClientId>(client))); !ok) return ok;
    return {};
  });
}

Result<void> RunStore::write_client(const ClientRecord& client) {
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

Result<std::uint32_t> RunStore::add_strike(const std::string& name, const std::string& reason,
                                           std::uint32_t limit) {
  const auto lock = std::lock_guard(mutex_);
  auto strikes = std::uint32_t{0};
  auto ok = database_.durable_transaction([&] {
    return database_.run(
        "INSERT INTO offenders (name, strikes, quarantined, reason, struck_at) "
        "VALUES (?1, 1, 1 >= ?3, ?2, strftime('%Y-%m-%dT%H:%M:%SZ', 'now')) ON CONFLICT (name) DO UPDATE SET "
        "strikes = strikes + 1, quarantined = quarantined OR strikes + 1 >= ?3, reason = excluded.reason, "
        "struck_at = excluded.struck_at RETURNING strikes",
        {name, reason, std::int64_t{limit}},
        [&](const SqlRow& row) { strikes = static_cast<std::uint32_t>(row.integer(0)); });
  });
  if (!ok) return tl::unexpected(ok.error());
  return strikes;
}

Result<std::optional<std::string>> RunStore::quarantine_reason(const std::string& name) {
  const auto lock = std::lock_guard(mutex_);
  auto reason = std::optional<std::string>();
  auto ok = database_.run("SELECT reason FROM offenders WHERE name = ? AND quarantined = 1", {name},
                          [&](const SqlRow& row) { reason = row.text(0); });
  if (!ok) return tl::unexpected(ok.error());
  return reason;
}

Result<std::vector<std::string>> RunStore::quarantined() {
  const auto lock = std::lock_guard(mutex_);
  auto names = std::vector<std::string>();
  auto ok = database_.run("SELECT name FROM offenders WHERE quarantined = 1 ORDER BY name", {},
                          [&](const SqlRow& row) { names.push_back(row.text(0)); });
  if (!ok) return tl::unexpected(ok.error());
  return names;
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
  clean_spool(false);
  auto released = std::vector<std::filesystem::path>();
  const auto work = [&]() -> Result<void> {
    if (auto ok = database_.run("DELETE FROM snapshots WHERE version < ?", {signed_of(kept.front())}); !ok)
      return ok;
    // The oldest snapshot that is kept can still be gone on from.
    auto files = ledger_.release(database_, kept.front());
    if (!files) return tl::unexpected(files.error());
    released = std::move(*files);
    return database_.run(
        "INSERT OR REPLACE INTO snapshots (version, file, bytes, updates_accepted, written_at) "
        "VALUES (?, ?, ?, ?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
        {signed_of(state.version), file->filename().string(), signed_of(size),
         signed_of(state.updates_accepted)});
  };
  // Bytes go when the database no longer says that they are there, even after a power cut.
  if (auto ok = keeps_updates() ? database_.durable_transaction(work) : database_.transaction(work); !ok)
    return ok;
  for (const auto& path : released) remove_file(path);
  return {};
}

Result<std::optional<StoredSnapshot>> RunStore::load_snapshot(const LayoutPtr& layout) {
  const auto files_lock = std::lock_guard(snapshots_mutex_);
  return snapshots_.load(layout);
}

// -- Updates and versions -------------------------------------------------------------------------

Result<void> RunStore::commit(const LedgerBatch& batch) {
  if (batch.empty()) return {};
  if (auto ok = ledger_.keep_files(batch); !ok) return ok;
  const auto lock = std::lock_guard(mutex_);
  const auto work = [&] { return ledger_.insert(database_, batch); };
  const auto durable = keeps_updates() && !batch.accepted.empty();
  if (auto ok = durable ? database_.durable_transaction(work) : database_.transaction(work); !ok) return ok;
  ledger_.count(batch);
  return {};
}

Result<void> RunStore::read_ledger(Version after, const LedgerReader& reader) {
  const auto lock = std::lock_guard(mutex_);
  return keeps_updates() ? ledger_.read(database_, after, reader) : Result<void>();
}

Result<std::vector<UpdateRecord>> RunStore::newest_accepted() {
  const auto lock = std::lock_guard(mutex_);
  return ledger_.newest_accepted(database_);
}

Result<void> RunStore::save_lease(const Task& task) {
  const auto lock = std::lock_guard(mutex_);
  return database_.run(
      "INSERT OR REPLACE INTO leases (client, task, epoch, base, stream, evaluate_base) VALUES (?, ?, ?, ?, "
      "?, ?)",
      {std::int64_t{task.client}, signed_of(task.id), std::int64_t{task.epoch}, signed_of(task.base),
       signed_of(task.stream), std::int64_t{task.evaluate_base}});
}

Result<void> RunStore::save_measures(const MeasuresTable& measures) {
  const auto lock = std::lock_guard(mutex_);
  return write_measures(database_, measures);
}

Result<MeasuresTable> RunStore::load_measures() {
  const auto lock = std::lock_guard(mutex_);
  return read_measures(database_);
}

/// Removes uploads whose leases are gone: at the start all of those, later only of tasks older than the
/// newest lease, because newer leases may not be in the table yet.
void RunStore::clean_spool(bool at_start) {
  auto open = std::set<TaskId>();
  (void)database_.run("SELECT task FROM leases", {}, [&](const SqlRow& row) { open.insert(row.count(0)); });
  const auto below = at_start ? ~TaskId{0} : open.empty() ? TaskId{0} : *open.rbegin();
  auto error = std::error_code();
  for (const auto& entry : std::filesystem::directory_iterator(spool_, error)) {
    auto task = 0ULL;
    if (std::sscanf(entry.path().filename().c_str(), "task-%llu-", &task) != 1) continue;
    if (!open.contains(task) && task < below) remove_file(entry.path());
  }
}

Result<std::vector<Task>> RunStore::open_leases() {
  const auto lock = std::lock_guard(mutex_);
  auto tasks = std::vector<Task>();
  auto ok =
      database_.run("SELECT client, task, epoch, base, stream, evaluate_base FROM leases ORDER BY client", {},
                    [&](const SqlRow& row) {
                      auto task = Task();
                      task.client = static_cast<ClientId>(row.integer(0));
                      task.id = row.count(1);
                      task.epoch = static_cast<Epoch>(row.integer(2));
                      task.base = row.count(3);
                      task.stream = row.count(4);
                      task.evaluate_base = row.integer(5) != 0;
                      tasks.push_back(task);
                    });
  if (!ok) return tl::unexpected(ok.error());
  return tasks;
}

Result<void> RunStore::save_version(const VersionRecord& version) {
  const auto lock = std::lock_guard(mutex_);
  auto known = false;
  const auto ok = database_.transaction([&]() -> Result<void> {
    // It may have been made again from the ledger before it was told: what is told now is the whole of it.
    auto removed = database_.run("DELETE FROM versions WHERE version = ? RETURNING version",
                                 {signed_of(version.version)}, [&](const SqlRow&) { known = true; });
    return removed ? insert_version(database_, version) : removed;
  });
  if (ok && known) {
    lines_missing_ = true;
    if (tensorboard_) tensorboard_->go_on_with(version.version);
  }
  return ok;
}

Result<void> RunStore::complete_version(Version version, const std::optional<Evaluation>& evaluation) {
  const auto lock = std::lock_guard(mutex_);
  auto completed = std::optional<VersionRecord>();
  const auto value = [&](double Evaluation::*member) -> SqlValue {
    if (evaluation) return (*evaluation).*member;
    return nullptr;
  };
  auto ok = database_.run(
      "UPDATE versions SET complete = 1, eval_loss = ?, eval_accuracy = ?, eval_metrics = ?, "
      "evaluated_samples = ? "
      "WHERE version = ? AND complete = 0 RETURNING " +
          std::string(kVersionColumns),
      {value(&Evaluation::loss), value(&Evaluation::accuracy),
       evaluation ? metrics_text(evaluation->metrics) : SqlValue(nullptr),
       evaluation ? SqlValue(signed_of(evaluation->samples)) : SqlValue(nullptr), signed_of(version)},
      [&](const SqlRow& row) { completed = version_of_row(row); });
  if (!ok) return ok;
  if (completed && tensorboard_) tensorboard_->append(*completed);
  if (!completed && !lines_missing_) return {};
  // The row comes first: a crash between the two, or a full disk, costs a line until the next one is written,
  // never doubles one.
  ok = lines_missing_ ? rewrite_metrics() : metrics_.append(*completed);
  lines_missing_ = !ok;
  return ok;
}

Result<void> RunStore::forget_above(Version version) {
  for (const auto* sql : {"DELETE FROM versions WHERE version > ?", "DELETE FROM snapshots WHERE version > ?",
                          "DELETE FROM updates WHERE folded_into > ?",
                          "DELETE FROM closings WHERE version > ?", "DELETE FROM leases WHERE base > ?"}) {
    if (auto ok = database_.run(sql, {signed_of(version)}); !ok) return ok;
  }
  return database_.run(
      "DELETE FROM updates WHERE folded_into = 0 AND time_s > (SELECT coalesce(max(time_s), -1) FROM "
      "versions)");
}

/// Versions that the ledger closed, but a crash kept from the table.
Result<void> RunStore::add_unsaved_versions() {
  const auto last = newest_version(database_);
  if (!last) return tl::unexpected(last.error());
  auto unsaved = ledger_.unsaved_versions(database_, *last ? (*last)->totals : RunTotals());
  if (!unsaved) return tl::unexpected(unsaved.error());
  for (const auto& version : *unsaved) {
    if (auto ok = insert_version(database_, version); !ok) return ok;
  }
  return {};
}

/// What has no line yet has one after this.
Result<void> RunStore::complete_all_versions() {
  if (tensorboard_) {
    const auto last = newest_version(database_);
    if (!last) return tl::unexpected(last.error());
    tensorboard_->go_on_with(*last ? (*last)->version + 1 : 1);
    auto ok = for_each_version(database_, "WHERE complete = 0 ORDER BY version",
                               [&](const auto& version) { tensorboard_->append(version); });
    if (!ok) return ok;
  }
  return database_.run("UPDATE versions SET complete = 1");
}

Result<RunTotals> RunStore::roll_back(Version version) {
  const auto files_lock = std::lock_guard(snapshots_mutex_);
  const auto lock = std::lock_guard(mutex_);
  auto done = database_.transaction([&]() -> Result<void> {
    if (auto ok = keeps_updates() ? add_unsaved_versions() : forget_above(version); !ok) return ok;
    return complete_all_versions();
  });
  if (done && !keeps_updates()) done = snapshots_.remove_above(version);
  if (!done) return tl::unexpected(done.error());
  if (auto ok = rewrite_metrics(); !ok) return tl::unexpected(ok.error());
  const auto last = newest_version(database_);
  if (!last) return tl::unexpected(last.error());
  return *last ? (*last)->totals : RunTotals();
}

/// From all versions that are complete.
Result<void> RunStore::rewrite_metrics() {
  auto lines = metrics_.replace();
  if (!lines) return tl::unexpected(lines.error());
  auto written = Result<void>();
  const auto read =
      for_each_version(database_, "WHERE complete = 1 ORDER BY version", [&](const auto& version) {
        if (written) written = lines->add(version);
      });
  if (!read) return read;
  return written ? lines->commit() : written;
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
