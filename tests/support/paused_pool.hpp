// A worker pool that works only when the test says so, so that no thread runs while the test's actors do.
#pragma once

#include <future>
#include <memory>

#include "learning/worker_pool.hpp"

namespace fl::test {

class PausedPool {
 public:
  PausedPool() { work(); }
  ~PausedPool() { plug_->released.set_value(); }
  PausedPool(const PausedPool&) = delete;
  PausedPool& operator=(const PausedPool&) = delete;

  const std::shared_ptr<WorkerPool>& pool() const { return pool_; }

  /// Does all jobs that were submitted, in order, and reports them; returns when the pool rests again.
  void work() {
    auto next = std::make_shared<Plug>();
    pool_->submit(next, {});
    if (plug_) plug_->released.set_value();
    next->reached.get_future().wait();
    plug_ = std::move(next);
  }

 private:
  /// Holds the only worker until it is released. Whatever was submitted before is done when it is reached.
  struct Plug final : Job {
    std::promise<void> reached;
    std::promise<void> released;
    bool run_slice(std::chrono::steady_clock::time_point) override {
      reached.set_value();
      released.get_future().wait();
      return true;
    }
  };

  std::shared_ptr<WorkerPool> pool_ = std::make_shared<WorkerPool>(1, 1'000'000);
  std::shared_ptr<Plug> plug_;
};

}  // namespace fl::test
