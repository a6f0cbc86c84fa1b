// Threads that compute ahead of a simulated clock: each job says when its result is needed, and the one that
// is needed first is computed first.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>

#include "learning/trainer.hpp"

namespace fl {

/// What comes out depends on the jobs alone, not on the number of threads: a result is taken when the
/// simulated clock has come to it, however early it was there. At most `window` jobs are computed or done and
/// not taken yet, which bounds the memory of results that are early; one that is waited for needs no place.
/// Thread-safe.
class AheadPool {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using JobId = std::uint64_t;

  /// `window` 0 means 8 · workers. Without workers a job is computed by who takes its result, which is best
  /// for jobs that take no longer than waking a thread.
  explicit AheadPool(std::size_t workers, std::size_t window = 0);

  /// Cancels what is left and waits for running slices to end.
  ~AheadPool();

  AheadPool(const AheadPool&) = delete;
  AheadPool& operator=(const AheadPool&) = delete;

  /// Queues a job whose result is needed at `due`, in the simulation's time.
  JobId submit(std::shared_ptr<Job> job, TimePoint due);

  /// Waits for the job, and forgets it: null when it is done, else what it threw, also for a job that nobody
  /// knows. The job's own result is where the job keeps it.
  std::exception_ptr finish(JobId id);

  /// Drops a job: at once when it waits or is done, after its slice when it runs. Unknown ids are ignored.
  void cancel(JobId id);

  std::size_t workers() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fl
