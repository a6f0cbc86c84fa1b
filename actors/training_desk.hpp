// Where a client of a simulation in virtual time trains: the time that a task takes follows from the client's
// profile, and the computing happens ahead of the clock, on a pool.
#pragma once

#include <memory>
#include <optional>

#include "actors/actors.hpp"
#include "actors/training_run.hpp"
#include "learning/ahead_pool.hpp"
#include "learning/simulation/client_profile.hpp"

namespace fl {

/// What a task costs a client of speed 1, in virtual seconds.
struct TaskCost {
  double task_s = 0;    ///< for each training (train.echo_seconds)
  double sample_s = 0;  ///< for each sample that it goes through; evaluating one costs a third of that
};

struct DeskOptions {
  std::shared_ptr<AheadPool> pool;
  TaskCost cost;
  std::uint64_t seed = 0;  ///< of the run
  bool whole_model = false;
};

class TrainingDesk {
 public:
  using TimePoint = AheadPool::TimePoint;

  TrainingDesk(DeskOptions options, TrainingMeans means, ClientProfile profile)
      : options_(std::move(options)), means_(std::move(means)), profile_(std::move(profile)) {}
  ~TrainingDesk() { cancel(); }

  TrainingDesk(const TrainingDesk&) = delete;
  TrainingDesk& operator=(const TrainingDesk&) = delete;

  /// How a task ends, and after how long.
  struct Outlook {
    Seconds after{0};
    bool dropped = false;  ///< then the client gives it up, and nothing is computed
  };

  /// Begins a task: downloading, computing. Fails like Trainer::train.
  Result<Outlook> begin(const Task& task, ParametersPtr base, ResidualPtr residual, TimePoint now);

  /// When its time has come: waits for the result.
  Result<TrainedUpdatePtr> finish();

  Seconds upload_time(std::uint64_t bytes) const { return Seconds(profile_.upload_seconds(bytes)); }

  void cancel();

 private:
  double compute_seconds(const Task& task) const;
  Task within_time(Task task) const;

  DeskOptions options_;
  TrainingMeans means_;
  ClientProfile profile_;
  std::shared_ptr<TrainingRun> run_;
  std::optional<AheadPool::JobId> job_;
};

}  // namespace fl
