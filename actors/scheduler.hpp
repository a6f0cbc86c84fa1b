// The scheduler: a shell round the lease book that keeps time and tells the others.
#pragma once

#include <functional>
#include <map>
#include <unordered_map>

#include "actors/actors.hpp"
#include "actors/chaos.hpp"
#include "actors/conduct.hpp"
#include "actors/run_board.hpp"

namespace fl {

/// What outlives the scheduler.
struct SchedulerMemory {
  std::function<Epoch()> next_epoch;               ///< gives a number never given before in this run
  std::function<std::vector<Task>()> open_leases;  ///< of the process before this one; empty: none are kept
  std::function<MeasuresTable()> measures;         ///< of its clients; empty: none are kept
  RunBoardPtr board = std::make_shared<RunBoard>();
  Seconds save_every{30};  ///< measures; 0: only at the end
};

struct SchedulerState {
  static inline const char* name = "scheduler";

  scheduler_actor::pointer self = nullptr;
  LeaseBook book;
  std::map<ClientId, LogLimit> losses;  ///< of lost tasks
  PeersPtr peers;
  std::map<ClientId, local_session_actor> sessions;
  fleet_actor fleet;                                ///< of a simulation in virtual time
  std::unordered_map<ClientId, Ready> fleet_ready;  ///< what its clients have, while they are there
  SchedulerMemory memory;
  ChaosPtr chaos;
  std::optional<LeaseBook::TimePoint> saved_at;  ///< the measures
  std::optional<LeaseBook::TimePoint> tick_at;   ///< the earliest tick that is under way

  explicit SchedulerState(scheduler_actor::pointer self);

  LeaseBook::TimePoint now() const;
  void on_down(const caf::down_msg& down);
  void attend(const Attendance& attendance);
  /// Leases for clients of the fleet that there is work for; they are sent together.
  void offer(std::vector<ClientId> clients);
  void save_measures();
  /// Sends what the book wants others to know, and sets the next timer.
  void carry_out();
};

scheduler_actor::behavior_type scheduler(scheduler_actor::stateful_pointer<SchedulerState> self,
                                         SchedulerOptions options, SchedulerMemory memory, ChaosPtr chaos);

}  // namespace fl
