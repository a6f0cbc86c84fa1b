// The metrics: counts what happens, keeps the store's versions and metrics.jsonl in order, and answers how
// the run goes.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "actors/actors.hpp"
#include "actors/chaos.hpp"
#include "actors/options.hpp"
#include "actors/run_board.hpp"

namespace fl {

struct MetricsOptions {
  GoalOptions goals;
  std::string strategy;  ///< for the status
  /// Restarts so far, outside the actor: its own crash is no reason to forget them.
  std::shared_ptr<std::uint64_t> restarts = std::make_shared<std::uint64_t>(0);
  RunBoardPtr board = std::make_shared<RunBoard>();
  bool virtual_time = false;  ///< the actors' clock is simulated: wall time is counted beside it
};

struct MetricsState {
  static inline const char* name = "metrics";
  using TimePoint = std::chrono::steady_clock::time_point;

  /// A version whose line is not written yet.
  struct Pending {
    Version version = 0;
    bool resolved = false;  ///< evaluated, or it will not be
    std::optional<Evaluation> evaluation;
  };

  metrics_actor::pointer self = nullptr;
  MetricsOptions options;
  RunStoragePtr storage;
  ChaosPtr chaos;

  RunTotals totals;                    ///< of the whole run
  double seconds_before = 0;           ///< of the run's time, in earlier lives
  double wall_before = 0;              ///< the same on the wall's clock; differs when time is simulated
  std::optional<TimePoint> begun;      ///< first lease of this life
  TimePoint begun_wall;                ///< the same on the wall's clock
  std::optional<double> stopped_at_s;  ///< the clock stands still from here
  double stopped_at_wall_s = 0;
  bool stopped = false;                 ///< no more versions will come
  std::deque<Pending> pending;          ///< rising versions
  std::deque<VersionRecord> unsaved;    ///< rising versions that the store had no room for
  std::map<Version, Evaluation> early;  ///< evaluations that overtook their version's record
  VersionRecord newest;
  std::optional<Evaluation> evaluation;  ///< the newest
  double best_accuracy = -1;
  std::string phase = "waiting for clients";
  bool has_model = false;                ///< the aggregator stands
  bool no_room = false;                  ///< updates were put off for lack of it since the last accepted one
  std::deque<TimePoint> recent_updates;  ///< accepted in the last seconds
  std::uint64_t updates_at_begin = 0;    ///< accepted before this life
  Version version_at_begin = 0;

  explicit MetricsState(metrics_actor::pointer actor) : self(actor) {}

  TimePoint now() const { return self->clock().now(); }
  double elapsed_s() const;
  double wall_s() const;
  /// What others count.
  void bring_up_to_date(RunTotals& counts) const;
  void stop_clock();
  void restore(Version version);
  void on_update(const UpdateRecord& update);
  void on_version(VersionRecord version);
  void on_evaluation(const Evaluation& evaluation);
  void on_skip(Version first, Version last);
  void save_versions();
  void write_lines();
  double remaining_s() const;
  RunStatus status() const;
  VersionRecord last_record();
};

metrics_actor::behavior_type metrics(metrics_actor::stateful_pointer<MetricsState> self,
                                     MetricsOptions options, RunStoragePtr storage, ChaosPtr chaos);

}  // namespace fl
