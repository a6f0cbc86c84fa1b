// Every interface of the system, one sentence a handler: the whole protocol. Values are in
// messages/types.hpp.
//
//                     supervisor ── restarts what crashes
//                         │
//  client ══hello══▶ gateway ──▶ session (one a client) ──update──▶ aggregator ──▶ checkpointer ──▶ run
//  storage
//    ◀══ task ═══════════════════╯   ▲                                 │   ╰─model──▶ evaluator
//    ══ update ══▶                   ╰── lease ── scheduler ◀─ model ──╯              ╰─▶ metrics ─▶ display,
//    files
//
// ══ crosses the network when client and server are different processes; everything else stays in one process
// and may carry pointers. Requests are answered on every path; what can be refused is answered with a value
// that says why.
#pragma once

#include <caf/all.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "actors/admission.hpp"
#include "actors/run_storage.hpp"
#include "actors/shared_link.hpp"
#include "learning/aggregation/validation.hpp"
#include "learning/compression/residual.hpp"
#include "learning/published_model.hpp"
#include "learning/selection/lease_book.hpp"
#include "learning/selection/whereabouts.hpp"
#include "messages/type_ids.hpp"

namespace fl {

// -- Values that stay in one process, shared by pointer -----------------------------------------------------

/// A new version, for those who work with it.
struct Publication {
  PublishedModelPtr model;
  std::uint64_t updates_accepted = 0;
  TaskId next_task = 1;  ///< above every task that has been answered
  bool anew = false;  ///< the model went back to a snapshot, or the cohort was lost: begin this version anew,
                      ///< forget what belongs to later ones
};
using PublicationPtr = std::shared_ptr<const Publication>;

/// A checked update on its way to the aggregator.
using ValidUpdatePtr = std::shared_ptr<const ValidUpdate>;

/// A finished training: the encoded update.
struct TrainedUpdate {
  UpdateInfo info;
  ByteSourcePtr blob;              ///< null when the update is left out
  bool left_out = false;           ///< too little to be sent: it joins the next (train.max_idle_deltas)
  ResidualPtr residual = nullptr;  ///< what the client has not said yet once this was accepted, or left out
};
using TrainedUpdatePtr = std::shared_ptr<const TrainedUpdate>;

/// What is left of a run after its process or its aggregator ended.
struct Recovered {
  StoredSnapshot snapshot;                    ///< with the ledger's decisions since then applied
  std::vector<UpdateRecord> newest_accepted;  ///< of each client
};
using RecoveredPtr = std::shared_ptr<const Recovered>;  ///< null: nothing, the run begins

/// What the aggregator wants to be on disk.
struct SaveRequest {
  Version version = 0;
  LedgerBatch batch;                               ///< decided since the last request
  std::shared_ptr<const StoredSnapshot> snapshot;  ///< the state after the batch; null: none is due
  bool wait_for_snapshot = true;  ///< whether the answer comes after the snapshot, or after the batch
};
using SaveRequestPtr = std::shared_ptr<const SaveRequest>;

/// A version without its evaluation, which may come later.
using VersionRecordPtr = std::shared_ptr<const VersionRecord>;
using UpdateRecordsPtr = std::shared_ptr<const std::vector<UpdateRecord>>;

/// Work for a client, the cohort of a version, and who is where: see learning/selection/lease_book.hpp.
using LeasePtr = std::shared_ptr<const Lease>;
using CohortPtr = std::shared_ptr<const Cohort>;

/// Clients of a fleet that came or went.
struct Attendance {
  struct Arrival {
    ClientId client = 0;
    Ready ready;
    LeasePtr lease = nullptr;  ///< that it holds from before
  };
  std::vector<Arrival> came;
  std::vector<ClientId> went;
};
using AttendancePtr = std::shared_ptr<const Attendance>;

/// Leases of several clients; each task names its own.
using LeasesPtr = std::shared_ptr<const std::vector<LeasePtr>>;

/// What a client of a fleet does in its short life.
struct Errand {
  Task task;
  Welcome welcome;
  ParametersPtr base;
  std::uint64_t base_hash = 0;
  caf::actor session;  ///< a local_session_actor that knows of the lease
};
using ErrandPtr = std::shared_ptr<const Errand>;

/// What the server has measured of its clients, by client.
using MeasuresPtr = std::shared_ptr<const MeasuresTable>;

/// What a client has done.
struct ClientTally {
  std::string state;  ///< "connecting", "waiting", "training", …
  std::uint64_t tasks = 0;
  std::uint64_t updates_accepted = 0;
  std::map<std::string, std::uint64_t> updates_rejected;  ///< by name_of(ec)
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
  std::uint64_t reconnects = 0;
  Version last_version = 0;
  std::string finished;  ///< why the run ended; empty: it has not
};
using ClientTallyPtr = std::shared_ptr<const ClientTally>;

/// The handles of the run's actors; a new one is sent to all after each restart.
struct Peers;
using PeersPtr = std::shared_ptr<const Peers>;

}  // namespace fl

// -- Types that must not leave the process ------------------------------------------------------------------

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::WhereaboutsPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::AllowListPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::ByteSourcePtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::ParametersPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::ResidualPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::PublicationPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::PublishedModelPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::ValidUpdatePtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::TrainedUpdatePtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::LeasePtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::AttendancePtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::LeasesPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::ErrandPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::CohortPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::RecoveredPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::SaveRequestPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::VersionRecordPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::UpdateRecordsPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::TaskAnswer)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::MeasuresPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::ClientTallyPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::PeersPtr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(fl::PassagePtr)

// -- Atoms --------------------------------------------------------------------------------------------------

CAF_BEGIN_TYPE_ID_BLOCK(fl_actors, caf::id_block::fl_messages::end)

// between client and server
CAF_ADD_ATOM(fl_actors, fl, hello_atom, "hello")
CAF_ADD_ATOM(fl_actors, fl, fetch_atom, "fetch")
CAF_ADD_ATOM(fl_actors, fl, commit_atom, "commit")
CAF_ADD_ATOM(fl_actors, fl, abandon_atom, "abandon")
CAF_ADD_ATOM(fl_actors, fl, nudge_atom, "nudge")
CAF_ADD_ATOM(fl_actors, fl, turn_atom, "turn")
CAF_ADD_ATOM(fl_actors, fl, revoke_atom, "revoke")
CAF_ADD_ATOM(fl_actors, fl, finish_atom, "finish")
CAF_ADD_ATOM(fl_actors, fl, status_atom, "status")
CAF_ADD_ATOM(fl_actors, fl, stop_atom, "stop")
// within a process
CAF_ADD_ATOM(fl_actors, fl, wire_atom, "wire")
CAF_ADD_ATOM(fl_actors, fl, join_atom, "joined")
CAF_ADD_ATOM(fl_actors, fl, lease_atom, "lease")
CAF_ADD_ATOM(fl_actors, fl, settle_atom, "settle")
CAF_ADD_ATOM(fl_actors, fl, want_atom, "want")
CAF_ADD_ATOM(fl_actors, fl, cohort_atom, "cohort")
CAF_ADD_ATOM(fl_actors, fl, lost_atom, "lost")
CAF_ADD_ATOM(fl_actors, fl, live_atom, "live")
CAF_ADD_ATOM(fl_actors, fl, submit_atom, "submit")
CAF_ADD_ATOM(fl_actors, fl, receipt_atom, "receipt")
CAF_ADD_ATOM(fl_actors, fl, publish_atom, "published")
CAF_ADD_ATOM(fl_actors, fl, restore_atom, "restore")
CAF_ADD_ATOM(fl_actors, fl, save_atom, "save")
CAF_ADD_ATOM(fl_actors, fl, evaluate_atom, "evaluate")
CAF_ADD_ATOM(fl_actors, fl, skip_atom, "skip")
CAF_ADD_ATOM(fl_actors, fl, restart_atom, "restart")
CAF_ADD_ATOM(fl_actors, fl, over_atom, "over")
CAF_ADD_ATOM(fl_actors, fl, prepare_atom, "prepare")
CAF_ADD_ATOM(fl_actors, fl, train_atom, "train")
CAF_ADD_ATOM(fl_actors, fl, cancel_atom, "cancel")
CAF_ADD_ATOM(fl_actors, fl, begin_atom, "begin")

CAF_END_TYPE_ID_BLOCK(fl_actors)

namespace fl {

// -- Clients and the server ---------------------------------------------------------------------------------

// Actor handles travel as caf::actor, which needs no registered type; receivers cast them to the interface
// named.

/// What the server may say to a client. All are hints: a lost one costs time, never correctness.
using client_actor = caf::typed_actor<
    /// There may be work: say Ready again.
    caf::reacts_to<nudge_atom>,
    /// Drop this task, for the reason given; its update would be refused.
    caf::reacts_to<revoke_atom, TaskId, std::string>,
    /// The run is over, for the reason given.
    caf::reacts_to<finish_atom, std::string>>;

/// What a client may ask of its session.
using session_actor = caf::typed_actor<
    /// "I can work": a task, or why not; an open lease of this client is given again.
    caf::replies_to<Ready>::with<Assignment>,
    /// Part of the task's base model: at most `length` bytes from `offset`.
    caf::replies_to<fetch_atom, TaskId, std::uint64_t, std::uint32_t>::with<Chunk>,
    /// Announces an update; answers with the offset to begin from (more than 0 resumes a broken upload).
    caf::replies_to<UploadOffer>::with<std::uint64_t>,
    /// Part of the announced update, in order; answers with the bytes received so far.
    caf::replies_to<Chunk>::with<std::uint64_t>,
    /// The update is complete: check it and hand it on; answers with the decision.
    caf::replies_to<commit_atom, TaskId>::with<Receipt>,
    /// "I cannot do this task", and why; the lease goes to someone else.
    caf::reacts_to<abandon_atom, TaskId, std::string>>;

/// The server's only published actor.
using gateway_actor = caf::typed_actor<
    /// Before a hello that proves who somebody is (second argument: the actor that will say it); answers with
    /// what is to be signed, and with the aggregator's own proof (messages/identity.hpp).
    caf::replies_to<Introduction, caf::actor>::with<Challenge>,
    /// A client (second argument: its client_actor) wants to join; answers with the run's terms and its
    /// session_actor.
    caf::replies_to<Hello, caf::actor>::with<Welcome, caf::actor>,
    /// How the run goes, for `fl_actor_node status`.
    caf::replies_to<status_atom>::with<RunStatus>,
    /// Ends the run: drain, save, end; answers with what will happen. For who holds the aggregator's key, if
    /// it has one.
    caf::replies_to<stop_atom, Proof, caf::actor>::with<std::string>,
    /// The clients that may join from now on; the sessions of others end.
    caf::reacts_to<AllowListPtr>,
    /// New handles of the other actors.
    caf::reacts_to<wire_atom, PeersPtr>>;

// -- Within the server --------------------------------------------------------------------------------------

/// A session, as the scheduler, the gateway and clients of the same process see it.
using local_session_actor = session_actor::extend<
    /// The whole base model of a task, shared.
    caf::replies_to<fetch_atom, TaskId>::with<PublishedModelPtr>,
    /// A whole update, shared: offer, chunks and commit in one.
    caf::replies_to<submit_atom, TaskId, Epoch, ByteSourcePtr>::with<Receipt>,
    /// There may be work for the client: pass it on.
    caf::reacts_to<nudge_atom>,
    /// The lease is void.
    caf::reacts_to<revoke_atom, TaskId, std::string>,
    /// The run is over.
    caf::reacts_to<finish_atom, std::string>,
    /// New handles of the other actors.
    caf::reacts_to<wire_atom, PeersPtr>>;

/// Leases: who trains what, how much, by when. Reads only the actor clock.
using scheduler_actor = caf::typed_actor<
    /// Where the clients are, of at most so many.
    caf::replies_to<status_atom, std::uint64_t>::with<WhereaboutsPtr>,
    /// A client is connected and this is its session (a local_session_actor), with the lease it held before,
    /// if any. When the session ends, the client is gone: its lease stays for `rejoin`, then it is lost.
    caf::reacts_to<join_atom, ClientId, caf::actor, LeasePtr>,
    /// Clients of a fleet (a fleet_actor) came, who all would work, or went. Their leases go to the fleet.
    caf::reacts_to<join_atom, AttendancePtr, caf::actor>,
    /// Work for a client, or why there is none.
    caf::replies_to<lease_atom, ClientId, Ready>::with<LeasePtr>,
    /// The client may not come back, for this reason: its lease is lost at once.
    caf::reacts_to<caf::leave_atom, ClientId, std::string>,
    /// The client has the whole base of its task: the lease holds on without it.
    caf::reacts_to<fetch_atom, ClientId, TaskId>,
    /// A lease was answered (with what the update says of its task, if it was taken) or given up
    /// (`lost_atom`).
    caf::reacts_to<settle_atom, ClientId, TaskId>, caf::reacts_to<settle_atom, ClientId, TaskId, TaskAnswer>,
    caf::reacts_to<lost_atom, ClientId, TaskId, std::string>,
    /// So many more updates are wanted until run.max_updates: work for more would be thrown away.
    caf::reacts_to<want_atom, std::uint64_t>,
    /// A new version to hand out.
    caf::reacts_to<publish_atom, PublicationPtr>,
    /// No more training, for this reason. With a last version each client is asked to evaluate it first;
    /// answers with how many will. Without one (null) the clients are told that the run is over.
    caf::replies_to<finish_atom, std::string, PublicationPtr>::with<std::uint32_t>,
    /// To itself: a lease or a client's absence may have run out.
    caf::reacts_to<caf::tick_atom>, caf::reacts_to<wire_atom, PeersPtr>>;

/// The owner of the model.
using aggregator_actor = caf::typed_actor<
    /// Folds a checked update; answers with the decision: with store.durability = "update" once it is on
    /// disk.
    caf::replies_to<submit_atom, ValidUpdatePtr>::with<Receipt>,
    /// The decision on a client's newest update again, for a client that did not hear it; `unknown_lease` for
    /// any other task.
    caf::replies_to<receipt_atom, ClientId, TaskId>::with<Receipt>,
    /// The tasks of the next version, in the order to fold; an open cohort is begun anew.
    caf::reacts_to<cohort_atom, CohortPtr>,
    /// This task of the cohort will not be answered.
    caf::reacts_to<lost_atom, TaskId>,
    /// How many clients take part now: bounds the goal of the next buffer.
    caf::reacts_to<live_atom, std::uint32_t>,
    /// A version's quality: may reach run.target_accuracy.
    caf::reacts_to<Evaluation>,
    /// Takes no more updates, saves its state and answers with the last version.
    caf::replies_to<stop_atom, std::string>::with<PublicationPtr>,
    /// To itself: run.max_seconds are over.
    caf::reacts_to<over_atom>,
    /// To itself: try again to save what the disk had no room for.
    caf::reacts_to<save_atom>, caf::reacts_to<wire_atom, PeersPtr>>;

/// Makes things durable. Blocks: detached in production.
using checkpointer_actor = caf::typed_actor<
    /// The newest good snapshot with the ledger's decisions since then, or null.
    caf::replies_to<restore_atom>::with<RecoveredPtr>,
    /// Writes decisions and, if there is one, a snapshot; answers with the version once they are on disk.
    caf::replies_to<save_atom, SaveRequestPtr>::with<Version>,
    /// A client has this lease now: to be remembered across restarts.
    caf::reacts_to<lease_atom, Task>,
    /// What has been measured of all clients: to be remembered across restarts.
    caf::reacts_to<save_atom, MeasuresPtr>, caf::reacts_to<wire_atom, PeersPtr>>;

/// Measures versions on held-out data, on a worker or on the clients.
using evaluator_actor = caf::typed_actor<
    /// To itself: the job of this version has ended (with an error text, if it failed), or the clients' time
    /// is over.
    caf::reacts_to<caf::tick_atom, Version, std::string>,
    /// A new version: evaluated if it is due; when it is behind, only the newest waiting one is.
    caf::reacts_to<publish_atom, PublicationPtr>,
    /// Evaluates this last version in any case (on clients: so many will answer); answers when done.
    caf::replies_to<evaluate_atom, PublicationPtr, std::uint32_t>::with<Evaluation>,
    /// A client's answer for its own validation split.
    caf::reacts_to<Evaluation, ClientId>,
    /// How many clients take part now.
    caf::reacts_to<live_atom, std::uint32_t>, caf::reacts_to<wire_atom, PeersPtr>>;

/// Counts, writes metrics.jsonl in the order of versions, and answers how the run goes.
using metrics_actor = caf::typed_actor<
    /// Updates were decided on.
    caf::reacts_to<UpdateRecordsPtr>,
    /// A version was made; answers when the store has it. Its line is written when it has been evaluated or
    /// will not be.
    caf::replies_to<VersionRecordPtr>::with<Version>, caf::reacts_to<Evaluation>,
    /// None of the versions from the first to the second will be evaluated from now on.
    caf::reacts_to<skip_atom, Version, Version>,
    /// This is the run's version now; later ones are forgotten if it went back to it.
    caf::reacts_to<restore_atom, Version, bool>,
    /// An actor was restarted: its id.
    caf::reacts_to<restart_atom, std::string>,
    /// The run begins to count (first lease) or is being ended ("stopping", "finished").
    caf::reacts_to<begin_atom>, caf::reacts_to<status_atom, std::string>,
    caf::replies_to<status_atom>::with<RunStatus>,
    /// Writes every line that waits and answers with the last version's record and the final counts.
    caf::replies_to<stop_atom>::with<VersionRecordPtr>, caf::reacts_to<wire_atom, PeersPtr>>;

// -- Within the client --------------------------------------------------------------------------------------

/// A client, as its own process sees it.
using local_client_actor = client_actor::extend<
    /// What it has done so far.
    caf::replies_to<status_atom>::with<ClientTallyPtr>,
    /// To itself: the pause before the next attempt to connect is over; to deliver, after this attempt; to
    /// ask for work, after this question.
    caf::reacts_to<caf::connect_atom>, caf::reacts_to<submit_atom, std::uint64_t>,
    caf::reacts_to<nudge_atom, std::uint64_t>,
    /// To itself, from the link that the clients of a process share: its turn to send or fetch a chunk.
    caf::reacts_to<turn_atom, PassagePtr>,
    /// To itself: the receipt that this attempt to deliver waits for is late.
    caf::reacts_to<receipt_atom, std::uint64_t>,
    /// From its fleet: the one task that it lives for.
    caf::reacts_to<begin_atom, ErrandPtr>,
    /// To itself, in a fleet: the time that this task takes is over.
    caf::reacts_to<caf::ok_atom, TaskId>,
    /// New handles of the other actors.
    caf::reacts_to<wire_atom, PeersPtr>>;

/// Trains on the client's own data. The computing itself happens on the worker pool.
using trainer_actor = caf::typed_actor<
    /// Loads the data and the model that the welcome names; answers with what there is.
    caf::replies_to<prepare_atom, Welcome>::with<Ready>,
    /// Trains (or evaluates) from a base, and adds what is left from earlier updates; answers with the
    /// encoded update, after the time that the client's speed makes of it.
    caf::replies_to<train_atom, Task, ParametersPtr, ResidualPtr>::with<TrainedUpdatePtr>,
    /// Stop working on this task; its request is answered with `cancelled`.
    caf::reacts_to<cancel_atom, TaskId>,
    /// To itself: the job of the current task has ended (with an error text, if it failed).
    caf::reacts_to<caf::tick_atom, TaskId, std::string>,
    /// To itself: the time that a client of this speed would have taken is over.
    caf::reacts_to<caf::ok_atom, TaskId>>;

/// The clients of a simulation in virtual time. One without a lease is a row in a table; one with a lease is
/// a client and a session, which end with it.
using fleet_actor = caf::typed_actor<
    /// Work for these clients.
    caf::reacts_to<lease_atom, LeasesPtr>,
    /// This client's lease is void.
    caf::reacts_to<revoke_atom, ClientId, TaskId, std::string>,
    /// The run is over.
    caf::reacts_to<finish_atom, std::string>,
    /// To itself: some come or go.
    caf::reacts_to<caf::tick_atom>,
    /// New handles of the other actors.
    caf::reacts_to<wire_atom, PeersPtr>>;

// -- Above all ----------------------------------------------------------------------------------------------

/// Starts, wires, watches, restarts and stops the others (actors/supervisor.hpp).
using supervisor_actor = caf::typed_actor<
    /// Starts the children in order, wires them, and answers when they stand.
    caf::replies_to<begin_atom>::with<bool>,
    /// Stops the children in reverse order, each within its grace; answers when all are gone.
    caf::replies_to<stop_atom>::with<bool>,
    /// To itself: the backoff of this child is over.
    caf::reacts_to<restart_atom, std::string>,
    /// To itself: the grace of this child is over.
    caf::reacts_to<stop_atom, std::string>>;

struct Peers {
  checkpointer_actor checkpointer;
  metrics_actor metrics;
  evaluator_actor evaluator;
  scheduler_actor scheduler;
  aggregator_actor aggregator;
  gateway_actor gateway;
  std::vector<trainer_actor> trainers;      ///< by client index; of this process
  std::vector<local_client_actor> clients;  ///< of a process of role client, by index
  /// Told (over_atom, reason) when a goal is reached, (stop_atom) when a stop is asked for, (lost_atom,
  /// reason) when the run failed, and (wire_atom, PeersPtr) like everyone else.
  caf::actor node;
};

}  // namespace fl
