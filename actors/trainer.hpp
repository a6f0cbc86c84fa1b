// The trainer: one client's hands. It puts the task's job on the worker pool and answers when it is done, not
// before a client of this speed would have been.
#pragma once

#include <functional>
#include <optional>

#include "actors/actors.hpp"
#include "actors/chaos.hpp"
#include "actors/training_run.hpp"
#include "learning/worker_pool.hpp"

namespace fl {

struct TrainerActorOptions {
  std::string id = "trainer-0";  ///< for chaos and the log
  /// Loads the model and the data that the welcome names. May take seconds.
  std::function<Result<TrainingMeans>(const Welcome&)> prepare;
  std::shared_ptr<WorkerPool> pool;
  double speed = 1;  ///< multiplies the task's time, see ClientOptions
  ChaosPtr chaos;
};

struct TrainerState {
  static inline const char* name = "trainer";

  struct Current {
    Task task;
    std::shared_ptr<TrainingRun> run;
    WorkerPool::JobId job = 0;
    std::chrono::steady_clock::time_point begun;
    caf::typed_response_promise<TrainedUpdatePtr> promise;
  };

  trainer_actor::pointer self = nullptr;
  TrainerActorOptions options;
  Welcome welcome;
  std::optional<TrainingMeans> means;
  TrainingMeans in_use;                 ///< `means` with the inputs as the tasks say
  std::vector<double> standardisation;  ///< that which `in_use` has
  std::optional<Current> current;

  explicit TrainerState(trainer_actor::pointer actor) : self(actor) {}
  ~TrainerState();

  Result<Ready> prepare(const Welcome& terms);
  caf::typed_response_promise<TrainedUpdatePtr> train(const Task& task, const ParametersPtr& base,
                                                      const ResidualPtr& residual);
  void on_job_end(TaskId task, const std::string& error);
  void finish(TaskId task);
  void cancel(const Error& error);
};

trainer_actor::behavior_type trainer(trainer_actor::stateful_pointer<TrainerState> self,
                                     TrainerActorOptions options);

}  // namespace fl
