// A fixed number of threads that run jobs in slices, in turn, so that equal jobs end together: three tasks
// share two cores evenly.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>

#include "learning/trainer.hpp"

namespace fl {

enum class Priority : std::uint8_t { normal, high };

/// Normal jobs are admitted in the order of submission; at most `window` are under way at once, which bounds
/// the memory of models in training, and those take turns. High-priority jobs (evaluations) need no place in
/// the window, and their slices go before all others. Thread-safe.
class WorkerPool {
 public:
  /// How a job ended: error is null when it is done, else what it threw; cancelled jobs report nothing.
  using Done = std::function<void(std::exception_ptr error)>;

  /// `workers` ≥ 1; `window` 0 means 2 · workers.
  explicit WorkerPool(std::size_t workers, std::size_t window = 0,
                      std::chrono::milliseconds slice = std::chrono::milliseconds(100));

  /// Cancels what is left and waits for running slices and callbacks to end; from within a callback, for the
  /// others.
  ~WorkerPool();

  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  using JobId = std::uint64_t;

  /// Queues a job; `done` is called from a worker thread.
  JobId submit(std::shared_ptr<Job> job, Done done, Priority priority = Priority::normal);

  /// Drops a job: at once when it waits, after its slice when it runs. Its `done` is not called once this has
  /// returned, except when it had begun before. Unknown ids are ignored.
  void cancel(JobId id);

  std::size_t workers() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace fl
