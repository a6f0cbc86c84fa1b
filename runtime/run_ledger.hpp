// The ordered record of decisions in run.db, with the bytes of each accepted update in DIR/updates/ until a
// snapshot covers it. Reading it again gives the same model, bit for bit.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "actors/run_storage.hpp"
#include "runtime/sqlite_database.hpp"

namespace fl {

struct LedgerOptions {
  bool keep_updates = false;    ///< with the bytes of each, durable; else only the decisions are recorded
  bool keep_covered = false;    ///< keeps the bytes of what a snapshot covers too (store.keep_updates)
  std::uint64_t max_bytes = 0;  ///< of all kept updates together; 0: no limit (store.max_bytes)
};

/// Not thread-safe but where stated; the caller holds the database.
class RunLedger {
 public:
  RunLedger(std::filesystem::path folder, LedgerOptions options);

  /// Makes the folder, removes what a crash left there, counts what is kept.
  Result<void> begin(SqliteDatabase& database);

  /// First half of a commit, without the database: puts the updates' bytes in their files and on disk. Fails
  /// with `store_full` or `io_failed`. What is already there is left as it is.
  Result<void> keep_files(const LedgerBatch& batch);

  /// Second half: the decisions, in the caller's transaction.
  Result<void> insert(SqliteDatabase& database, const LedgerBatch& batch);
  /// After the caller's transaction.
  void count(const LedgerBatch& batch);

  Result<void> read(SqliteDatabase& database, Version after, const LedgerReader& reader) const;
  Result<std::vector<UpdateRecord>> newest_accepted(SqliteDatabase& database) const;

  /// Notes in the caller's transaction that the bytes of updates in versions up to `covered` are kept no
  /// longer, unless all are to be, and returns the files to remove once that is on disk.
  Result<std::vector<std::filesystem::path>> release(SqliteDatabase& database, Version covered);

  /// Versions above the newest in `versions` that were closed, with what the decisions say of them.
  Result<std::vector<VersionRecord>> unsaved_versions(SqliteDatabase& database,
                                                      const RunTotals& before) const;

  bool keeps_updates() const { return options_.keep_updates; }
  std::filesystem::path file_of(std::uint64_t number) const;

 private:
  std::uint64_t new_bytes(const LedgerBatch& batch) const;

  std::filesystem::path folder_;
  LedgerOptions options_;
  std::uint64_t kept_bytes_ = 0;
  std::uint64_t counted_ = 0;  ///< number of the newest update in `kept_bytes_`
};

}  // namespace fl
