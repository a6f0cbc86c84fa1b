// The run store: DIR/run.db (SQLite, WAL mode), DIR/metrics.jsonl, DIR/checkpoints/ and, where it is wanted,
// DIR/tensorboard/.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "actors/run_storage.hpp"
#include "runtime/metrics_file.hpp"
#include "runtime/run_ledger.hpp"
#include "runtime/snapshot_file.hpp"
#include "runtime/sqlite_database.hpp"
#include "runtime/tensorboard_file.hpp"

namespace fl {

/// How far a run is.
enum class RunState : std::uint8_t {
  running,    ///< or cut short without a chance to say so
  completed,  ///< a goal was reached
  stopped,    ///< by the user; can be resumed
  failed,
};

/// "running", "completed", "stopped", "failed".
std::string_view to_string(RunState state);

struct RunStoreOptions {
  SnapshotIdentity identity;         ///< of the run's snapshots
  std::uint32_t keep_snapshots = 3;  ///< ≥ 1
  LedgerOptions ledger;
  bool tensorboard = false;  ///< also writes DIR/tensorboard/
};

/// What a run folder tells of its run.
struct StoredRun {
  std::string run_id;
  RunState state = RunState::running;
  std::string created_at;  ///< UTC, "2024-05-01T12:00:00Z"
  std::optional<VersionRecord> last;
  std::optional<double> best_accuracy;
};

/// Lets a quarantined client in again and forgets its strikes; the run may be going on. Fails with
/// `bad_config` when the folder holds no run or nobody of that name is quarantined there.
Result<void> pardon_client(const std::filesystem::path& folder, const std::string& name);

/// Reads a run that another process may be working on; none when the folder holds no run. Changes nothing.
Result<std::optional<StoredRun>> read_stored_run(const std::filesystem::path& folder);

/// The store of one run. The database is the truth; metrics.jsonl is written from it, so it never holds a
/// version twice. A process crash loses nothing committed; a power cut may lose the last moments (synchronous
/// = NORMAL), but never an epoch, a client's index or the run's state.
class RunStore final : public RunStorage {
 public:
  /// Opens the store in an existing folder, or makes it; a new run gets an id. The caller holds the folder
  /// (run_folder.hpp). Fails with `run_folder_refused` (of a newer program) or `io_failed`.
  static Result<std::shared_ptr<RunStore>> open(const std::filesystem::path& folder, RunStoreOptions options);
  ~RunStore() override;

  /// Names the run across restarts: 32 hexadecimal digits.
  const std::string& run_id() const { return run_id_; }

  Result<RunState> state();
  Result<void> set_state(RunState state);

  /// All clients that were ever bound, by index.
  Result<std::vector<ClientRecord>> clients();
  Result<std::optional<VersionRecord>> last_version();

  Result<ClientId> bind_client(const std::string& name, std::uint32_t clients_count,
                               const std::set<ClientId>& connected) override;
  Result<void> save_client(const ClientRecord& client) override;
  /// Those of a simulation: `count` of them, by index.
  Result<void> save_clients(std::size_t count, const std::function<ClientRecord(ClientId)>& record);
  Result<std::uint32_t> add_strike(const std::string& name, const std::string& reason,
                                   std::uint32_t limit) override;
  Result<std::optional<std::string>> quarantine_reason(const std::string& name) override;
  Result<std::vector<std::string>> quarantined() override;
  Result<void> save_snapshot(const AggregationState& state, TaskId next_task) override;
  Result<std::optional<StoredSnapshot>> load_snapshot(const LayoutPtr& layout) override;
  Result<void> commit(const LedgerBatch& batch) override;
  bool keeps_updates() const override { return ledger_.keeps_updates(); }
  Result<void> read_ledger(Version after, const LedgerReader& reader) override;
  Result<std::vector<UpdateRecord>> newest_accepted() override;
  Result<void> save_lease(const Task& task) override;
  Result<std::vector<Task>> open_leases() override;
  Result<void> save_measures(const MeasuresTable& measures) override;
  Result<MeasuresTable> load_measures() override;
  Result<void> save_version(const VersionRecord& version) override;
  Result<void> complete_version(Version version, const std::optional<Evaluation>& evaluation) override;
  Result<RunTotals> roll_back(Version version) override;
  std::optional<double> best_accuracy() override;
  Result<Epoch> next_epoch() override;
  std::string transfer_folder() const override { return spool_.string(); }

 private:
  Result<void> write_client(const ClientRecord& client);
  RunStore(const std::filesystem::path& folder, RunStoreOptions options, SqliteDatabase database);

  Result<void> begin();
  Result<void> forget_above(Version version);
  void clean_spool(bool at_start);
  Result<void> add_unsaved_versions();
  Result<void> complete_all_versions();
  Result<void> rewrite_metrics();
  Result<void> check_durability();

  std::mutex mutex_;  ///< of the database and the files of metrics; taken after the other where both are
  SqliteDatabase database_;
  MetricsFile metrics_;
  std::optional<TensorboardFile> tensorboard_;
  bool lines_missing_ = false;  ///< metrics.jsonl lacks a version of the database, or holds half a line
  std::mutex snapshots_mutex_;  ///< a snapshot being written holds up nothing else
  SnapshotFolder snapshots_;
  RunLedger ledger_;
  std::filesystem::path spool_;
  std::string run_id_;
  Epoch next_epoch_ = 0;  ///< 0: none was asked for yet
  Epoch last_epoch_ = 0;  ///< of those that are taken
};

}  // namespace fl
