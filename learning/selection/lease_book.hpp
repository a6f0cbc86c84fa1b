// Who trains what, how much, until when: the scheduler's book of clients and leases. Plain class; time is
// passed in.
//
//              join                 lease                      settle
//   (unknown) ──────▶ waiting ─────────────────▶ training ─────────────────▶ waiting
//                        │  ◀── nudge when            │ leave: the lease stays for `rejoin`;
//                        │      there is work         │ deadline, rejoin over, give-up: the lease is lost
//                        ╰──── leave ────▶ lost ◀─────╯
//
// Asynchronous strategies: every waiting client gets a lease of the current version at once. Synchronous
// ones: a cohort is chosen when a version appears, its leases wait for their clients, and nobody else gets
// work until the next version. Who is given work when not everybody is:
// learning/selection/selection_policy.hpp. Over-selection asks more of them than are needed, and the rest is
// void when the version is made.
//
// Replicas: clients that declared the same data fingerprint hold the same samples in the same order. A task
// of one, given to the other as well, is the same work: same base, same random stream, so the same numbers
// come out, whoever answers first. The answer counts as that of the client that gave it; the other's lease is
// void.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "learning/published_model.hpp"
#include "learning/selection/candidates.hpp"
#include "learning/selection/client_measures.hpp"
#include "learning/selection/selection_policy.hpp"
#include "learning/selection/whereabouts.hpp"
#include "learning/selection/work_plan.hpp"
#include "messages/types.hpp"

namespace fl {

/// Who is given work, how much, and until when.
struct SchedulerOptions {
  bool synchronous = false;  ///< cohorts, see fl::is_synchronous
  std::uint32_t clients_count = 3;
  double fraction = 1;  ///< of clients_count that train at the same time, in (0, 1]
  std::uint32_t min_clients =
      0;  ///< that must be there before the first lease; 0: clients_count when synchronous, else 1
  Seconds task_timeout{3600};  ///< a lease runs out after this; 0: never
  Seconds rejoin{15};          ///< a vanished client keeps its lease so long
  Seconds retry{5};            ///< a client that must wait asks again after this at the latest
  std::uint64_t seed = 1;
  bool durable_updates = false;  ///< said in every task
  TrainingSettings training;
  UploadSettings upload;
  Version warmup_versions = 0;  ///< until the codec keeps as few values as upload.codec says, see codec_at
  double redundancy = 1;  ///< ≥ 1. Cohorts: tasks given for each answer needed (over-selection), rounded up.
                          ///< Asynchronous: replicas that get each task, rounded down
  std::uint32_t backup_tasks = 0;    ///< overdue tasks that replicas work on too, at most at once; 0: none
  double backup_after = 2;           ///< a task is overdue at so many times the usual duration, ≥ 1
  std::uint64_t evaluate_every = 0;  ///< versions that clients evaluate before they train; 0: none
  PolicyOptions policy;
  std::uint32_t max_concurrent = 0;  ///< leases at once, beside `fraction`; 0: no limit
  WorkOptions work;
  std::uint64_t max_staleness =
      0;  ///< of the strategy; who would answer later is not given work; 0: no limit
};

/// The server's answer to a client that asks for work, with the model of the task: null unless it is one, and
/// for a client that has the model, so that what nobody needs any more is let go of.
struct Lease {
  Assignment assignment;
  PublishedModelPtr model;
};

/// The clients that train one version together; it is closed when each task is answered or lost.
struct Cohort {
  Version version = 0;
  std::vector<TaskId> tasks;  ///< folded in this order
  std::size_t wanted = 0;     ///< so many answers are enough; 0: all
};

/// Who is where, for people.
struct Roster {
  std::uint32_t training = 0;  ///< clients with a lease
  std::uint32_t waiting = 0;   ///< connected without one
  std::uint32_t lost = 0;      ///< known, not connected
  std::string waited_for;  ///< holder of the oldest lease, or what is missing; empty: nothing is waited for
  double waited_s = 0;

  bool operator==(const Roster&) const = default;
};

class LeaseBook {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// What the book wants others to do, in the order it found out.
  struct Effects {
    std::vector<ClientId> nudge;  ///< there is work for them
    struct Void {
      ClientId client;
      TaskId task;
      std::string reason;
      bool was_cohort;          ///< of the open cohort, and nobody else does the work
      TaskId work = 0;          ///< the cohort's task: `task`, or that which it backed up
      bool superseded = false;  ///< nothing went wrong: others answered first
    };
    std::vector<Void> voided;                         ///< leases that no longer hold
    std::shared_ptr<const Cohort> cohort;             ///< a cohort was opened
    std::optional<std::uint32_t> live;                ///< the number of live clients changed
    bool first_lease = false;                         ///< the first lease of this book was given
    std::vector<std::shared_ptr<const Lease>> given;  ///< new ones, but for a replica's of another's work
  };

  /// Throws std::invalid_argument when the policy is unknown. `measures`: of an earlier book.
  LeaseBook(SchedulerOptions options, Epoch epoch, MeasuresTable measures = {});

  /// A lease that was open when the server's process ended: its client has some time to come back for it.
  /// Asynchronous strategies only; a cohort begins anew.
  void hold(const Task& task, TimePoint now);

  /// A client is connected, holding `lease` from an earlier life of this book (or null).
  /// A `standing` one, who says what it has here, is asked for no more: it would work whenever it is there
  /// without a lease.
  void join(ClientId client, std::shared_ptr<const Lease> lease, TimePoint now,
            const Ready* standing = nullptr);
  void leave(ClientId client, TimePoint now);
  /// The client may not come back, for this reason: it is forgotten, and its lease is lost.
  void dismiss(ClientId client, const std::string& reason, TimePoint now);

  /// Work for a client: its open lease again, a new one, or why there is none.
  std::shared_ptr<const Lease> lease(ClientId client, const Ready& ready, TimePoint now);

  /// The client has the base of this lease. Asked again, the book gives the lease with its model only while
  /// that is the current version.
  void fetched(ClientId client, TaskId task);
  /// The lease was answered; with an outcome, by an update that was taken. Unknown ones are ignored.
  void settle(ClientId client, TaskId task, TimePoint now, const std::optional<TaskAnswer>& answer = {});
  /// The lease was given up.
  void lose(ClientId client, TaskId task, const std::string& reason, TimePoint now);

  /// So many more updates are wanted, less one with each answer from here: no more leases than that are open
  /// at once.
  void want(std::uint64_t updates, TimePoint now);

  /// A new version. `anew`: leases of later versions, and of cohorts all, are void from now on, under a new
  /// epoch.
  void publish(PublishedModelPtr model, TaskId next_task, bool anew, Epoch new_epoch, TimePoint now);

  /// No more training. With `last`, clients that can evaluate it once; returns how many will.
  std::uint32_t finish(const std::string& reason, PublishedModelPtr last, TimePoint now);

  bool finished() const { return finished_.has_value(); }

  /// Voids what has run out, opens a cohort that has waited long enough.
  void tick(TimePoint now);
  /// When `tick` has something to do next.
  std::optional<TimePoint> next_tick() const;

  Effects take_effects();
  Roster roster(TimePoint now) const;
  /// Of at most so many clients that ever came, by index.
  Whereabouts whereabouts(std::size_t most, TimePoint now) const;

  /// Connected, or vanished less than `rejoin` ago.
  std::uint32_t live() const { return static_cast<std::uint32_t>(counts_.live); }

  const MeasuresTable& measures() const { return measures_; }

 private:
  struct OpenLease {
    std::shared_ptr<const Lease> lease;
    TimePoint since;
    std::optional<TimePoint> deadline;
    PublishedModelPtr base = nullptr;  ///< kept for a replica, where there is one
    bool is_backup = false;            ///< given because another's task was overdue
    std::uint64_t number = 0;          ///< leases were given in this order
  };
  struct Member {
    bool known = false;
    bool connected = false;
    bool leased = false;
    bool asked = false;      ///< was told to wait, and would take work
    bool standing = false;   ///< asks by being there
    bool validates = false;  ///< said that it can evaluate
    bool evaluated_last = false;
    std::optional<TimePoint> rejoin_until;  ///< while vanished
    std::uint64_t fingerprint = 0;          ///< of its data; 0: like nobody else's
    std::uint64_t samples = 0;              ///< in an epoch

    bool live() const { return connected || rejoin_until.has_value(); }
  };
  /// How many members are what.
  struct Counts {
    std::size_t live = 0;
    std::size_t connected = 0;
    std::size_t waiting = 0;  ///< connected without a lease
    std::size_t lost = 0;     ///< known, not connected, without a lease
  };
  using Time = std::pair<TimePoint, ClientId>;

  Member& member_of(ClientId client);
  Member* find(ClientId client);
  void count(const Member& member, int sign);
  template <class Change>
  void change(ClientId client, Change how);

  OpenLease* lease_of(ClientId client);
  OpenLease* holder(ClientId client, TaskId task);
  void take_lease(ClientId client);
  void set_rejoin(ClientId client, std::optional<TimePoint> until);
  std::size_t open_leases() const;
  std::size_t lease_limit() const;
  std::size_t free_places() const;
  bool started() const;
  std::string why_wait() const;
  std::shared_ptr<const Lease> wait(const std::string& reason) const;
  void declare(ClientId client, const Ready& ready);
  void ask(ClientId client);
  void withdraw(ClientId client);
  bool takes_work() const;
  bool may_choose(ClientId client);
  const Task& task_of(ClientId client) const;
  void plan(Task& task);
  void give(ClientId client, TaskKind kind, TimePoint now);
  UploadSettings upload_from(Version base) const;
  void open(ClientId client, std::shared_ptr<const Lease> lease, TimePoint now);
  SelectionFacts facts() const;
  bool would_be_too_late(ClientId client) const;
  ClientMeasures& measures_of(ClientId client);

  bool shares_work() const;
  bool has_replica(ClientId client) const;
  std::size_t holders_of(TaskId work) const;
  PublishedModelPtr base_of(const OpenLease& lease) const;
  std::optional<TimePoint> share_at(const Member& member, const OpenLease& lease) const;
  const OpenLease* work_to_share(const Member& member, TimePoint now) const;
  void give_copy(ClientId client, const OpenLease& original, TimePoint now);
  void supersede(TaskId work);
  void supersede(const std::function<bool(const Task&)>& which, const std::string& reason);
  std::optional<Seconds> usual_duration() const;
  void void_lease(ClientId client, const std::string& reason, bool superseded = false);
  void void_leases(const std::function<bool(const Task&)>& which, const std::string& reason,
                   bool superseded = false);
  void try_open_cohort(TimePoint now);
  void offer_places(TimePoint now);
  void note_live();

  SchedulerOptions options_;
  Epoch epoch_;
  TaskId next_task_ = 1;
  std::optional<std::uint64_t> wanted_;  ///< updates; none: no limit
  PublishedModelPtr model_;
  std::optional<TimePoint> published_at_;
  std::optional<TimePoint> opened_at_;  ///< the first version of this book came
  std::vector<Member> members_;         ///< by client
  Counts counts_;
  std::map<ClientId, OpenLease> leases_;
  std::map<std::uint64_t, ClientId> by_age_;  ///< of the leases' numbers
  std::set<Time> deadlines_;                  ///< of leases
  std::set<Time> rejoins_;
  std::uint64_t leases_given_ = 0;
  Candidates candidates_;                 ///< who asked and waits; nobody when synchronous
  std::map<ClientId, TimePoint> places_;  ///< kept until then for clients that were told that there is work
  std::set<Time> place_ends_;
  std::set<ClientId> too_late_;  ///< who asked, and would answer too late
  std::unique_ptr<SelectionPolicy> policy_;
  MeasuresTable measures_;
  std::uint64_t answered_ = 0;               ///< tasks
  std::optional<double> seconds_a_version_;  ///< an exponentially weighted mean
  std::optional<double> median_s_;           ///< that the configured work takes
  std::uint64_t median_due_ = 0;             ///< computed anew when so many tasks were answered
  bool cohort_open_ = false;
  bool any_lease_ = false;
  std::optional<std::string> finished_;
  bool evaluate_last_ = false;
  std::uint32_t reported_live_ = 0;
  std::deque<Seconds> durations_;  ///< of the last answered tasks
  Effects effects_;
};

}  // namespace fl
