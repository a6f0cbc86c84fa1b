// Where a run is kept, as the actors see it: an interface, so that they can be tested with one in memory. The
// real one is runtime/run_store.hpp (SQLite beside snapshot files).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "learning/aggregation/aggregation.hpp"
#include "learning/selection/client_measures.hpp"
#include "messages/types.hpp"

namespace fl {

/// How the server decided on one update.
struct UpdateRecord {
  TaskId task = 0;
  Epoch epoch = 0;
  ClientId client = 0;
  Version base = 0;
  Version folded_into = 0;  ///< the version it became part of; 0 when refused
  ec decision = ec::none;   ///< none: accepted
  ClientId owner = 0;       ///< whose work it answers, and which (messages/types.hpp, Task)
  TaskId work = 0;
  std::uint64_t samples = 0;
  std::uint64_t staleness = 0;
  double weight = 0;
  double train_loss = 0;
  double train_seconds = 0;
  double norm = 0;          ///< L2 of the delta
  std::uint64_t bytes = 0;  ///< encoded
  double time_s = 0;        ///< since the run's start
  double total_s = 0;       ///< from the lease to this update
};

/// Counts over the whole run, resumes included. Kept with each version, so a resume from it goes on counting.
struct RunTotals {
  std::uint64_t updates_accepted = 0;
  std::map<std::string, std::uint64_t> updates_rejected;  ///< by name_of(ec)
  double staleness_sum = 0;
  std::uint64_t staleness_max = 0;
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
  std::uint64_t restarts = 0;
  double wall_seconds = 0;
  double virtual_seconds = 0;  ///< on the simulated clock, where there is one
};

/// One version, as a line of metrics.jsonl.
struct VersionRecord {
  Version version = 0;
  double time_s = 0;  ///< since the first lease, summed over resumes
  std::optional<double> virtual_s;
  std::uint64_t updates = 0;        ///< folded into this version
  double train_loss = 0;            ///< mean over its updates, weighted by samples
  double staleness_mean = 0;        ///< over its updates
  std::optional<double> eval_loss;  ///< none: not evaluated
  std::optional<double> eval_accuracy;
  std::map<std::string, double> eval_metrics;  ///< see Evaluation::metrics
  RunTotals totals;                            ///< after this version
};

struct ClientRecord {
  ClientId client = 0;
  std::string name;
  std::uint64_t samples = 0;
  std::vector<std::uint64_t> label_histogram;
};

/// An accepted update as the ledger keeps it: the decision and the bytes it was made on.
struct LedgerUpdate {
  std::uint64_t number = 0;  ///< of the run's accepted updates, from 1, in the order of folding
  UpdateRecord record;
  double divisor = 0;      ///< d_i of its weight; w_i is record.weight
  ByteSourcePtr blob;      ///< the encoded update; null where the store does not keep it
  std::uint64_t hash = 0;  ///< XXH3-64 of the blob; 0: not computed yet
};

/// A version was made of the buffer.
struct LedgerClosing {
  Version version = 0;
  std::uint64_t last_number = 0;  ///< of the newest update in it
  double divisor = 0;             ///< D = Σ d_i
};

/// Decisions of the aggregator, in their order.
struct LedgerBatch {
  std::vector<LedgerUpdate> accepted;
  std::vector<LedgerClosing> closings;
  std::vector<UpdateRecord> refused;

  bool empty() const { return accepted.empty() && closings.empty() && refused.empty(); }
};

/// What recovery and replay do with the ledger's decisions, in their order. A failure ends the reading.
struct LedgerReader {
  std::function<Result<void>(const LedgerUpdate&)> on_update;
  std::function<Result<void>(const LedgerClosing&)> on_closing;
};

/// A snapshot as loaded.
struct StoredSnapshot {
  AggregationState state;
  TaskId next_task = 1;
};

/// Thread-safe; every call blocks until it is done.
class RunStorage {
 public:
  virtual ~RunStorage() = default;

  /// The client's index: what its name was bound to before, else the lowest index below `clients_count` that
  /// was never bound, else the lowest whose client is not `connected` now (its name is forgotten). Fails with
  /// `hello_refused` when all are taken.
  virtual Result<ClientId> bind_client(const std::string& name, std::uint32_t clients_count,
                                       const std::set<ClientId>& connected) = 0;
  virtual Result<void> save_client(const ClientRecord& client) = 0;

  /// One more strike against a client, by name; the `limit`-th quarantines it, for this reason. Returns how
  /// many it has. Both outlive the process, and a change of the client's index.
  virtual Result<std::uint32_t> add_strike(const std::string& name, const std::string& reason,
                                           std::uint32_t limit) = 0;
  /// Why the client is quarantined; none: it is not.
  virtual Result<std::optional<std::string>> quarantine_reason(const std::string& name) = 0;
  /// The names of all who are, sorted.
  virtual Result<std::vector<std::string>> quarantined() = 0;

  /// Writes a snapshot atomically and forgets old ones beyond the number to keep.
  virtual Result<void> save_snapshot(const AggregationState& state, TaskId next_task) = 0;

  /// The newest snapshot that is whole; none when there is none. Damaged ones are skipped and said so in the
  /// log. `layout` is what the arrays must fit.
  virtual Result<std::optional<StoredSnapshot>> load_snapshot(const LayoutPtr& layout) = 0;

  /// Adds decisions, in one transaction. A store that keeps every update (store.durability = "update")
  /// returns when the accepted ones, with their bytes, and the closings would survive a power cut; what it
  /// has already is not added again. Fails with `store_full` when there is no room: then nothing was added.
  virtual Result<void> commit(const LedgerBatch& batch) = 0;

  /// Whether `commit` makes updates durable, so that they may be acknowledged after it.
  virtual bool keeps_updates() const = 0;

  /// Decisions on versions above `after`, in their order, blobs included. Nothing where updates are not kept.
  /// Fails with `corrupt_data` when an update's bytes are damaged or missing.
  virtual Result<void> read_ledger(Version after, const LedgerReader& reader) = 0;

  /// The newest accepted update of each client, and the newest of each owner's works, to recognise one that
  /// is sent again or was done by another; in the order of acceptance.
  virtual Result<std::vector<UpdateRecord>> newest_accepted() = 0;

  /// Remembers a client's open lease, instead of the one before; and the leases that are open.
  virtual Result<void> save_lease(const Task& task) = 0;
  virtual Result<std::vector<Task>> open_leases() = 0;

  /// What the scheduler has measured of the clients, instead of what was stored before; and that.
  virtual Result<void> save_measures(const MeasuresTable& measures) = 0;
  virtual Result<MeasuresTable> load_measures() = 0;

  /// Adds a version to the store, as soon as it is made; its evaluation is not known yet. Versions come in
  /// rising order; the newest may come again, and takes its own place.
  virtual Result<void> save_version(const VersionRecord& version) = 0;

  /// Adds the version's line to metrics.jsonl, once it has been evaluated or will not be (none). In rising
  /// order.
  virtual Result<void> complete_version(Version version, const std::optional<Evaluation>& evaluation) = 0;

  /// Forgets versions, updates and lines above `version`, writes metrics.jsonl anew from what is left (so a
  /// version whose line was not written before a crash has one now), and returns the totals at that version
  /// (zeros at none). A store that keeps every update forgets none of them, and adds the versions that its
  /// ledger closed but that were not saved before a crash.
  virtual Result<RunTotals> roll_back(Version version) = 0;

  /// Best accuracy of any stored version; none when none was evaluated.
  virtual std::optional<double> best_accuracy() = 0;

  /// A number never given before in this run: each life of the scheduler takes one.
  virtual Result<Epoch> next_epoch() = 0;

  /// Where uploads in progress and models being downloaded may be put on disk; empty: keep them in memory.
  virtual std::string transfer_folder() const = 0;
};

using RunStoragePtr = std::shared_ptr<RunStorage>;

}  // namespace fl
