#include <limits>
#include <nlohmann/json.hpp>

#include "runtime/run_store_schema.hpp"

namespace fl {

namespace {

/// Of the first schema version; those after it are steps from the one before.
constexpr const char* kTables = R"(
  CREATE TABLE run (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    run_id TEXT NOT NULL,
    state TEXT NOT NULL,             -- running, completed, stopped, failed
    epoch INTEGER NOT NULL,          -- lives of the scheduler so far
    created_at TEXT NOT NULL,        -- UTC
    software_version TEXT NOT NULL
  ) STRICT;
  CREATE TABLE versions (            -- one for each line of metrics.jsonl; the totals are those after the version
    version INTEGER PRIMARY KEY,
    time_s REAL NOT NULL,
    virtual_s REAL,
    updates INTEGER NOT NULL,
    train_loss REAL,
    staleness_mean REAL,
    eval_loss REAL,
    eval_accuracy REAL,
    evaluated_samples INTEGER,
    complete INTEGER NOT NULL DEFAULT 0,  -- evaluated, or it will not be
    updates_accepted INTEGER NOT NULL,
    updates_rejected TEXT NOT NULL,  -- JSON: reason to count
    staleness_sum REAL NOT NULL,
    staleness_max INTEGER NOT NULL,
    bytes_up INTEGER NOT NULL,
    bytes_down INTEGER NOT NULL,
    restarts INTEGER NOT NULL,
    wall_seconds REAL NOT NULL
  ) STRICT;
  CREATE TABLE updates (             -- decisions in their order
    sequence INTEGER PRIMARY KEY,
    task INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    client INTEGER NOT NULL,
    base INTEGER NOT NULL,
    folded_into INTEGER NOT NULL,    -- 0: refused
    decision TEXT NOT NULL,          -- none: accepted
    samples INTEGER NOT NULL,
    staleness INTEGER NOT NULL,
    weight REAL,
    train_loss REAL,
    train_seconds REAL,
    norm REAL,
    bytes INTEGER NOT NULL,
    time_s REAL NOT NULL
  ) STRICT;
  CREATE INDEX updates_by_version ON updates (folded_into);
  CREATE TABLE clients (
    client INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    samples INTEGER NOT NULL DEFAULT 0,
    label_histogram TEXT NOT NULL DEFAULT '[]'
  ) STRICT;
  CREATE TABLE snapshots (
    version INTEGER PRIMARY KEY,
    file TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    updates_accepted INTEGER NOT NULL,
    written_at TEXT NOT NULL         -- UTC
  ) STRICT;
)";

/// The ledger (store.durability = "update") and leases that outlive the process.
constexpr const char* kLedgerStep = R"(
  ALTER TABLE updates ADD COLUMN number INTEGER;   -- of accepted updates, from 1; none without a ledger
  ALTER TABLE updates ADD COLUMN divisor REAL;
  ALTER TABLE updates ADD COLUMN hash INTEGER;     -- XXH3-64 of the encoded update
  ALTER TABLE updates ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;  -- its bytes are in updates/
  CREATE UNIQUE INDEX updates_by_number ON updates (number);
  CREATE TABLE closings (            -- versions, as the ledger made them
    version INTEGER PRIMARY KEY,
    last_number INTEGER NOT NULL,    -- of the newest update in it
    divisor REAL NOT NULL
  ) STRICT;
  CREATE TABLE leases (              -- open ones
    client INTEGER PRIMARY KEY,
    task INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    base INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    evaluate_base INTEGER NOT NULL
  ) STRICT;
)";

/// Who offended, and whose work an update answers.
constexpr const char* kConductStep = R"(
  CREATE TABLE offenders (
    name TEXT PRIMARY KEY,           -- of the client
    strikes INTEGER NOT NULL,
    quarantined INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL,            -- of the last strike
    struck_at TEXT NOT NULL          -- UTC
  ) STRICT;
  ALTER TABLE updates ADD COLUMN owner INTEGER;  -- the client whose work it is, and the task; none: its own
  ALTER TABLE updates ADD COLUMN work INTEGER;
)";

/// What was measured of the clients, and how long their tasks took.
constexpr const char* kMeasuresStep = R"(
  CREATE TABLE measures (            -- exponentially weighted means
    client INTEGER PRIMARY KEY,
    samples_per_s REAL NOT NULL,
    transfer_s REAL NOT NULL,        -- of a task, beside training
    duration_s REAL NOT NULL,        -- of a task
    reliability REAL NOT NULL,       -- share of the tasks that were answered
    loss REAL NOT NULL,              -- of the last update; below 0: none yet
    samples REAL NOT NULL,           -- of the last update
    answered INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    last_version INTEGER NOT NULL
  ) STRICT;
  ALTER TABLE updates ADD COLUMN total_s REAL;  -- from the lease to the update
)";

/// How else a version was measured.
constexpr const char* kQualityStep = R"(
  ALTER TABLE versions ADD COLUMN eval_metrics TEXT;  -- JSON: name to value
  DROP INDEX updates_by_number;      -- an entry for each update, most of which have no number
  CREATE UNIQUE INDEX updates_by_number ON updates (number) WHERE number IS NOT NULL;
)";

SqlValue optional_value(const std::optional<double>& value) {
  if (value) return *value;
  return nullptr;
}

/// SQLite keeps a number that is not one as NULL.
double number_of(const SqlRow& row, int column) {
  return row.optional_number(column).value_or(std::numeric_limits<double>::quiet_NaN());
}

std::map<std::string, std::uint64_t> counts_of(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  auto counts = std::map<std::string, std::uint64_t>();
  if (!json.is_object()) return counts;
  for (const auto& [reason, count] : json.items()) {
    if (count.is_number_unsigned()) counts[reason] = count.get<std::uint64_t>();
  }
  return counts;
}

std::map<std::string, double> metrics_of(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  auto metrics = std::map<std::string, double>();
  if (!json.is_object()) return metrics;
  for (const auto& [name, value] : json.items())
    if (value.is_number()) metrics[name] = value.get<double>();
  return metrics;
}

}  // namespace

SqlValue metrics_text(const std::map<std::string, double>& metrics) {
  if (metrics.empty()) return nullptr;
  return nlohmann::json(metrics).dump();
}

Result<void> prepare_run_tables(SqliteDatabase& database, const std::filesystem::path& file) {
  auto found = std::int64_t{0};
  if (auto ok = database.run("PRAGMA user_version", {}, [&](const SqlRow& row) { found = row.integer(0); });
      !ok)
    return ok;
  if (found > kRunSchemaVersion)
    return fail(ec::run_folder_refused,
                file.string() + " was written by a newer version of this program (schema " +
                    std::to_string(found) + ", this one knows " + std::to_string(kRunSchemaVersion) +
                    "); resume with that version");
  if (found == kRunSchemaVersion) return {};
  return database.durable_transaction([&]() -> Result<void> {
    if (found < 1)
      if (auto ok = database.script(kTables); !ok) return ok;
    if (found < 2)
      if (auto ok = database.script(kLedgerStep); !ok) return ok;
    if (found < 3)
      if (auto ok = database.script(kConductStep); !ok) return ok;
    if (found < 4)
      if (auto ok = database.script(kMeasuresStep); !ok) return ok;
    if (auto ok = database.script(kQualityStep); !ok) return ok;
    return database.script("PRAGMA user_version = " + std::to_string(kRunSchemaVersion));
  });
}

// -- Versions -------------------------------------------------------------------------------------

VersionRecord version_of_row(const SqlRow& row) {
  auto version = VersionRecord();
  version.version = row.count(0);
  version.time_s = row.number(1);
  version.virtual_s = row.optional_number(2);
  version.updates = row.count(3);
  version.train_loss = number_of(row, 4);
  version.staleness_mean = number_of(row, 5);
  version.eval_loss = row.optional_number(6);
  version.eval_accuracy = row.optional_number(7);
  auto& totals = version.totals;
  totals.updates_accepted = row.count(8);
  totals.updates_rejected = counts_of(row.text(9));
  totals.staleness_sum = row.number(10);
  totals.staleness_max = row.count(11);
  totals.bytes_up = row.count(12);
  totals.bytes_down = row.count(13);
  totals.restarts = row.count(14);
  totals.wall_seconds = row.number(15);
  totals.virtual_seconds = version.virtual_s.value_or(0);
  version.eval_metrics = metrics_of(row.text(16));
  return version;
}

Result<bool> has_column(SqliteDatabase& database, const std::string& table, const std::string& column) {
  auto found = false;
  auto ok = database.run("SELECT 1 FROM pragma_table_info(?) WHERE name = ?", {table, column},
                         [&](const SqlRow&) { found = true; });
  if (!ok) return tl::unexpected(ok.error());
  return found;
}

Result<void> for_each_version(SqliteDatabase& database, const std::string& rest,
                              const std::function<void(const VersionRecord&)>& take,
                              std::initializer_list<SqlValue> values) {
  auto columns = std::string(kVersionColumns);
  const auto measured = has_column(database, "versions", "eval_metrics");
  if (!measured) return tl::unexpected(measured.error());
  if (!*measured)
    columns.replace(columns.find("eval_metrics"), std::string_view("eval_metrics").size(), "NULL");
  return database.run("SELECT " + columns + " FROM versions " + rest, values,
                      [&](const SqlRow& row) { take(version_of_row(row)); });
}

Result<std::vector<VersionRecord>> select_versions(SqliteDatabase& database, const std::string& rest) {
  auto versions = std::vector<VersionRecord>();
  auto ok = for_each_version(database, rest, [&](const auto& version) { versions.push_back(version); });
  if (!ok) return tl::unexpected(ok.error());
  return versions;
}

Result<std::optional<VersionRecord>> newest_version(SqliteDatabase& database) {
  auto newest = select_versions(database, "ORDER BY version DESC LIMIT 1");
  if (!newest) return tl::unexpected(newest.error());
  return newest->empty() ? std::nullopt : std::optional(newest->front());
}

std::optional<double> best_accuracy_in(SqliteDatabase& database) {
  auto best = std::optional<double>();
  (void)database.run("SELECT max(eval_accuracy) FROM versions", {},
                     [&](const SqlRow& row) { best = row.optional_number(0); });
  return best;
}

Result<void> insert_version(SqliteDatabase& database, const VersionRecord& version) {
  static const auto sql = "INSERT INTO versions (" + std::string(kVersionColumns) +
                          ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
  const auto& totals = version.totals;
  return database.run(sql,
                      {signed_of(version.version), version.time_s, optional_value(version.virtual_s),
                       signed_of(version.updates), version.train_loss, version.staleness_mean,
                       optional_value(version.eval_loss), optional_value(version.eval_accuracy),
                       signed_of(totals.updates_accepted), nlohmann::json(totals.updates_rejected).dump(),
                       totals.staleness_sum, signed_of(totals.staleness_max), signed_of(totals.bytes_up),
                       signed_of(totals.bytes_down), signed_of(totals.restarts), totals.wall_seconds,
                       metrics_text(version.eval_metrics)});
}

// -- Updates and clients --------------------------------------------------------------------------

Result<void> insert_update(SqliteDatabase& database, const UpdateRecord& update,
                           const std::optional<LedgerEntry>& entry) {
  static const auto sql = std::string(
      "INSERT INTO updates (task, epoch, client, base, folded_into, decision, samples, staleness, weight, "
      "train_loss, train_seconds, norm, bytes, time_s, total_s, owner, work, number, divisor, hash, kept) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (number) "
      "WHERE number IS NOT NULL DO NOTHING");
  const auto in_ledger = [&](auto value) -> SqlValue {
    if (entry) return value(*entry);
    return nullptr;
  };
  return database.run(sql, {signed_of(update.task),
                            std::int64_t{update.epoch},
                            std::int64_t{update.client},
                            signed_of(update.base),
                            signed_of(update.folded_into),
                            std::string(name_of(update.decision)),
                            signed_of(update.samples),
                            signed_of(update.staleness),
                            update.weight,
                            update.train_loss,
                            update.train_seconds,
                            update.norm,
                            signed_of(update.bytes),
                            update.time_s,
                            update.total_s,
                            std::int64_t{update.owner},
                            signed_of(update.work),
                            in_ledger([](const LedgerEntry& e) { return signed_of(e.number); }),
                            in_ledger([](const LedgerEntry& e) { return e.divisor; }),
                            in_ledger([](const LedgerEntry& e) { return signed_of(e.hash); }),
                            std::int64_t{entry.has_value()}});
}

Result<void> write_measures(SqliteDatabase& database, const MeasuresTable& measures) {
  return database.transaction([&]() -> Result<void> {
    if (auto ok = database.script("DELETE FROM measures"); !ok) return ok;
    for (auto client = std::size_t{0}; client < measures.size(); ++client) {
      const auto& one = measures[client];
      if (one == ClientMeasures()) continue;
      auto ok = database.run(
          "INSERT INTO measures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
          {static_cast<std::int64_t>(client), double{one.samples_per_s}, double{one.transfer_s},
           double{one.duration_s}, double{one.reliability}, double{one.loss}, double{one.samples},
           std::int64_t{one.answered}, std::int64_t{one.lost}, signed_of(one.last_version)});
      if (!ok) return ok;
    }
    return {};
  });
}

Result<MeasuresTable> read_measures(SqliteDatabase& database) {
  auto measures = MeasuresTable();
  auto ok = database.run(
      "SELECT client, samples_per_s, transfer_s, duration_s, reliability, loss, samples, answered, lost, "
      "last_version FROM measures ORDER BY client",
      {}, [&](const SqlRow& row) {
        measures.resize(row.count(0) + 1);
        auto& one = measures.back();
        auto column = 0;
        for (auto* value : {&one.samples_per_s, &one.transfer_s, &one.duration_s, &one.reliability, &one.loss,
                            &one.samples})
          *value = static_cast<float>(row.number(++column));
        one.answered = static_cast<std::uint32_t>(row.count(7));
        one.lost = static_cast<std::uint32_t>(row.count(8));
        one.last_version = row.count(9);
      });
  if (!ok) return tl::unexpected(ok.error());
  return measures;
}

std::string histogram_text(const std::vector<std::uint64_t>& histogram) {
  return nlohmann::json(histogram).dump();
}

std::vector<std::uint64_t> histogram_of(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  auto histogram = std::vector<std::uint64_t>();
  if (!json.is_array()) return histogram;
  for (const auto& count : json)
    histogram.push_back(count.is_number_unsigned() ? count.get<std::uint64_t>() : 0);
  return histogram;
}

}  // namespace fl
