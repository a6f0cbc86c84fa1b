// The aggregator: owns the model, folds updates as they come, publishes versions.
//
//   starting ──restore answered──▶ open ──goal reached──▶ over ──stop──▶ saved
//
// Asynchronous strategies fold at once. Synchronous ones fold in the order of the cohort's tasks, so that the
// model does not depend on who was faster; an update that is early waits for its turn.
//
// With store.durability = "update" the world hears of a decision only when it is on disk: receipts and new
// versions wait for the commit that holds them, and one commit takes all that was decided while the one
// before it was written. A cohort is committed as a whole, so that a restart finds all of it or nothing.
//
//   update ──▶ fold ──▶ unsaved ──commit──▶ receipt, version published
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "actors/actors.hpp"
#include "actors/chaos.hpp"
#include "actors/options.hpp"
#include "learning/aggregation/buffer_tuner.hpp"

namespace fl {

struct AggregatorOptions {
  StrategyOptions strategy;
  ServerOptimizerOptions optimizer;
  GoalOptions goals;
  std::function<Seconds()> spent;  ///< of the run's time so far, resumes included; none: nothing
  Version snapshot_every = 1;      ///< versions; 0: only at the end
  std::string transfer_folder;     ///< where old versions that are still downloaded spill to; empty: nowhere
  std::size_t models_in_memory = 3;     ///< published versions that may stay in memory when there is a folder
  std::function<Parameters()> initial;  ///< makes version 0
  DownloadsPtr downloads = std::make_shared<Downloads>();  ///< told of every version
  bool durable_updates = false;   ///< store.durability = "update": nothing is told before it is on disk
  std::size_t tell_together = 1;  ///< decisions that metrics hears of at once, at most
  std::function<void(Version)> on_restored;  ///< told when the model goes on from a snapshot; may be empty
};

struct AggregatorState {
  static inline const char* name = "aggregator";

  /// Sums over the updates of the open buffer, for the version's record.
  struct Tally {
    std::uint64_t updates = 0;
    double samples = 0;
    double loss = 0;       ///< Σ samples · loss
    double staleness = 0;  ///< Σ τ
  };

  using ReceiptPromise = caf::typed_response_promise<Receipt>;

  /// An update that waits: for the start, or for the disk.
  struct Arrival {
    ValidUpdatePtr update;
    ReceiptPromise promise;
  };

  /// What a client is told of an update that was folded.
  struct Answer {
    Receipt receipt;
    std::uint64_t number = 0;  ///< of the update, in the order of folding; its place in the ledger
  };

  /// An answer that its client has not heard, because the update is not on disk yet.
  struct Acknowledgement {
    ReceiptPromise promise;
    Answer answer;
  };

  /// A version that the others have not heard of, for the same reason.
  struct NewVersion {
    PublicationPtr publication;
    VersionRecordPtr record;
  };

  /// A task of the open cohort.
  struct Slot {
    bool settled = false;    ///< folded, or lost
    ValidUpdatePtr waiting;  ///< arrived before its turn
    Weight weight;
    ReceiptPromise promise;  ///< unless it was answered on arrival

    /// Whether this update waits here for its turn.
    bool holds(ClientId client, TaskId task) const {
      return waiting && waiting->info.client == client && waiting->info.task == task;
    }
  };

  aggregator_actor::pointer self = nullptr;
  AggregatorOptions options;
  ChaosPtr chaos;
  PeersPtr peers;
  std::optional<Aggregation> aggregation;  ///< none while starting
  std::optional<PublishedModels> published;
  PublishedModelPtr model;
  std::uint32_t live = 0;            ///< clients; 0 also while nobody has said how many
  std::uint32_t goal = 1;            ///< distinct clients that close the open buffer
  std::optional<BufferTuner> tuner;  ///< with strategy.buffer_size = "auto"
  TaskId next_task = 1;
  CohortPtr cohort;
  std::map<TaskId, Slot> slots;  ///< of the cohort
  std::size_t turn = 0;          ///< index in cohort->tasks of the next to fold
  std::size_t taken = 0;         ///< answers of the cohort so far
  std::set<TaskId> spare;        ///< tasks of the last cohort that were not needed
  Tally tally;
  std::deque<VersionRecordPtr> unrecorded;        ///< versions that metrics has not acknowledged
  std::unordered_map<ClientId, Answer> answered;  ///< to the newest task of each client that was folded
  std::unordered_map<ClientId, TaskId>
      done;                          ///< the newest work of each client that was folded, by whoever did it
  std::deque<Arrival> arrivals;      ///< not decided yet
  std::vector<UpdateRecord> untold;  ///< decisions that metrics has not heard of
  LedgerBatch unsaved;               ///< decisions that are not on disk, oldest first
  std::uint64_t committed = 0;       ///< number of the newest update that is on disk
  std::vector<Acknowledgement> unheard;  ///< of updates above it
  std::deque<NewVersion> unpublished;    ///< of versions that are not on disk
  SaveRequestPtr saving;                 ///< under way: the first of `unsaved`
  std::optional<Error> no_room;          ///< why the last save failed
  bool retrying = false;                 ///< a save that failed is tried again soon
  bool snapshot_due = false;
  std::optional<std::string> over;           ///< why the run ends
  std::optional<std::uint64_t> told_wanted;  ///< updates that the scheduler knows are still wanted
  caf::typed_response_promise<PublicationPtr> stopped;
  bool goal_reached = false;  ///< that is why it is over

  explicit AggregatorState(aggregator_actor::pointer actor) : self(actor) {}

  void on_wire(const PeersPtr& peers);
  void restore();
  void begin(Aggregation restored, TaskId next, bool is_restored);
  PublicationPtr publication(bool anew) const;
  PublishedModelPtr publish_model();

  void submit(const ValidUpdatePtr& update, ReceiptPromise promise);
  void decide(const ValidUpdatePtr& update, ReceiptPromise promise);
  void decide_waiting();
  bool recognise(ClientId client, TaskId task, Slot* slot, ReceiptPromise& promise);
  void acknowledge(ReceiptPromise promise, const Answer& answer);
  Answer answer_of(const ValidUpdate& update, const Weight& weight) const;
  Receipt refuse(const ValidUpdate& update, const Error& error);
  Result<void> fold(const ValidUpdate& update, const Weight& weight);
  void tell(const UpdateRecord& record);
  void tell_all();
  double spent_s() const;
  void tell_wanted();
  void tell_wanted(std::uint64_t updates);
  void want_no_more();
  void open_cohort(const CohortPtr& opened);
  void settle_the_rest();
  void lose(TaskId task);
  void fold_in_turn();
  void close_if_full();
  void close();
  void tune_buffer(const VersionRecord& made);
  void publish();
  void announce(const LedgerBatch& batch);
  void forget_cohort(const Error& reason);
  void end(const std::string& reason);
  void check_goals();

  void record(const VersionRecordPtr& version);
  void save();
  void on_saved(const Result<Version>& result);
  void stop_without_room(const Error& reason);
  void forget_records();
};

aggregator_actor::behavior_type aggregator(aggregator_actor::stateful_pointer<AggregatorState> self,
                                           AggregatorOptions options, ChaosPtr chaos);

}  // namespace fl
