// The tables of run.db, and how records lie in their rows.
#pragma once

#include <string>

#include "runtime/run_store.hpp"

namespace fl {

/// Raised whenever tables change; a program refuses databases of a newer one.
inline constexpr std::int64_t kRunSchemaVersion = 5;

/// In the run's folder.
inline constexpr auto kRunDatabaseName = "run.db";

/// Makes the tables in a new database, and brings those of an older program up to date. Fails with
/// `run_folder_refused` when the database is of a newer program.
Result<void> prepare_run_tables(SqliteDatabase& database, const std::filesystem::path& file);

/// The columns of `versions` that `version_of_row` reads, in its order.
inline constexpr const char* kVersionColumns =
    "version, time_s, virtual_s, updates, train_loss, staleness_mean, eval_loss, eval_accuracy, "
    "updates_accepted, updates_rejected, staleness_sum, staleness_max, bytes_up, bytes_down, restarts, "
    "wall_seconds, eval_metrics";

VersionRecord version_of_row(const SqlRow& row);

/// Metrics as a column holds them: JSON, or nothing where there are none.
SqlValue metrics_text(const std::map<std::string, double>& metrics);

/// Whether a table, which need not be there, has this column: of a run of an older program, which is only
/// read.
Result<bool> has_column(SqliteDatabase& database, const std::string& table, const std::string& column);

/// Calls `take` with each version that `SELECT … FROM versions <rest>` gives, `values` for its question
/// marks. Also of a run of an older program.
Result<void> for_each_version(SqliteDatabase& database, const std::string& rest,
                              const std::function<void(const VersionRecord&)>& take,
                              std::initializer_list<SqlValue> values = {});

/// The same, all at once.
Result<std::vector<VersionRecord>> select_versions(SqliteDatabase& database, const std::string& rest);
Result<std::optional<VersionRecord>> newest_version(SqliteDatabase& database);
std::optional<double> best_accuracy_in(SqliteDatabase& database);

Result<void> insert_version(SqliteDatabase& database, const VersionRecord& version);

/// Instead of what the table holds.
Result<void> write_measures(SqliteDatabase& database, const MeasuresTable& measures);
Result<MeasuresTable> read_measures(SqliteDatabase& database);

/// What the ledger adds to the record of an update whose bytes it keeps.
struct LedgerEntry {
  std::uint64_t number = 0;
  double divisor = 0;
  std::uint64_t hash = 0;
};

/// An update whose number the ledger has already is left as it is.
Result<void> insert_update(SqliteDatabase& database, const UpdateRecord& update,
                           const std::optional<LedgerEntry>& entry = {});

RunState run_state_of(const std::string& name);

/// A list of counts as JSON, and back; damaged text gives an empty list.
std::string histogram_text(const std::vector<std::uint64_t>& histogram);
std::vector<std::uint64_t> histogram_of(const std::string& text);

}  // namespace fl
