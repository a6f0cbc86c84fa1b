#include "learning/worker_pool.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

using fl::Priority;
using fl::WorkerPool;

namespace {

/// A wait longer than this means that what the test waits for will not come.
constexpr auto kNever = std::chrono::seconds(30);

/// Jobs whose every slice waits for the test's word, so that the test decides the order of events.
class Stage {
 public:
  class SteppedJob final : public fl::Job {
   public:
    SteppedJob(Stage& stage, char name, int slices) : stage_(stage), name_(name), slices_left_(slices) {}
    bool run_slice(std::chrono::steady_clock::time_point) override {
      stage_.perform(name_);
      return --slices_left_ == 0;
    }

   private:
    Stage& stage_;
    char name_;
    int slices_left_;
  };

  std::shared_ptr<fl::Job> job(char name, int slices) {
    return std::make_shared<SteppedJob>(*this, name, slices);
  }

  /// A callback that notes that the job has ended; a job that threw is noted in upper case.
  WorkerPool::Done note(char name) {
    return [this, name](const std::exception_ptr& error) {
      const auto lock = std::scoped_lock(mutex_);
      ended_ += error ? static_cast<char>(name - 'a' + 'A') : name;
      changed_.notify_all();
    };
  }

  /// Lets the slice that the job is in come to its end.
  void release(char name) {
    const auto lock = std::scoped_lock(mutex_);
    released_.insert(name);
    changed_.notify_all();
  }

  /// Names of the jobs whose slices have begun, in order, once there are `count`.
  std::string begun(std::size_t count) {
    auto lock = std::unique_lock(mutex_);
    REQUIRE(changed_.wait_for(lock, kNever, [&] { return begun_.size() >= count; }));
    return begun_;
  }

  /// Names of the jobs that have reported, in order, once there are `count`.
  std::string ended(std::size_t count) {
    auto lock = std::unique_lock(mutex_);
    REQUIRE(changed_.wait_for(lock, kNever, [&] { return ended_.size() >= count; }));
    return ended_;
  }

 private:
  void perform(char name) {
    auto lock = std::unique_lock(mutex_);
    begun_ += name;
    changed_.notify_all();
    (void)changed_.wait_for(lock, kNever, [&] { return released_.erase(name) > 0; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string begun_;
  std::string ended_;
  std::set<char> released_;
};

/// Runs whatever it is given, once.
class CallJob final : public fl::Job {
 public:
  explicit CallJob(std::function<bool()> call) : call_(std::move(call)) {}
  bool run_slice(std::chrono::steady_clock::time_point) override { return call_(); }

 private:
  std::function<bool()> call_;
};

std::shared_ptr<fl::Job> call(std::function<bool()> function) {
  return std::make_shared<CallJob>(std::move(function));
}

}  // namespace

TEST_CASE("three equal jobs on two workers advance together") {
  constexpr int kSlices = 10;
  auto stage = Stage();
  auto pool = WorkerPool(2);
  // Released one slice at a time, the one that began first: the workers always hold the next two in turn.
  for (const auto name : {'a', 'b', 'c'}) pool.submit(stage.job(name, kSlices), stage.note(name));
  auto slices = std::map<char, int>();
  for (std::size_t i = 0; i < 3 * kSlices; ++i) {
    const auto name = stage.begun(i + 1)[i];
    ++slices[name];
    const auto [least, most] = std::minmax({slices['a'], slices['b'], slices['c']});
    CHECK(most - least <= 2);
    if (i >= 1) stage.release(stage.begun(i)[i - 1]);
  }
  stage.release(stage.begun(3 * kSlices).back());
  CHECK(stage.ended(3).size() == 3);
  for (const auto& [name, count] : slices) CHECK(count == kSlices);
}

TEST_CASE("no more jobs than the window are under way, and they are admitted in order") {
  auto stage = Stage();
  auto pool = WorkerPool(1, 2);
  for (const auto name : {'a', 'b', 'c', 'd'}) pool.submit(stage.job(name, 2), stage.note(name));
  for (std::size_t i = 0; i < 8; ++i) stage.release(stage.begun(i + 1)[i]);
  CHECK(stage.ended(4) == "abcd");
  CHECK(stage.begun(8) == "ababcdcd");  // c waits for the end of a, d for that of b
}

TEST_CASE("high priority needs no place in the window and goes before the others' next slices") {
  auto stage = Stage();
  auto pool = WorkerPool(1, 1);
  pool.submit(stage.job('a', 3), stage.note('a'));
  CHECK(stage.begun(1) == "a");
  pool.submit(stage.job('b', 1), stage.note('b'));
  pool.submit(stage.job('h', 2), stage.note('h'), Priority::high);
  for (std::size_t i = 0; i < 6; ++i) stage.release(stage.begun(i + 1)[i]);
  CHECK(stage.ended(3) == "hab");
  CHECK(stage.begun(6) == "ahhaab");
}

TEST_CASE("a waiting job that is cancelled is dropped at once, and its place is free") {
  auto stage = Stage();
  auto pool = WorkerPool(1, 1);
  pool.submit(stage.job('a', 1), stage.note('a'));
  CHECK(stage.begun(1) == "a");
  auto waiting = stage.job('b', 1);
  auto urgent = stage.job('h', 1);
  const auto b = pool.submit(waiting, stage.note('b'));
  pool.submit(stage.job('c', 1), stage.note('c'));
  const auto h = pool.submit(urgent, stage.note('h'), Priority::high);
  pool.cancel(b);
  pool.cancel(h);
  CHECK(waiting.use_count() == 1);
  CHECK(urgent.use_count() == 1);
  pool.cancel(b);    // again
  pool.cancel(999);  // never existed
  stage.release('a');
  CHECK(stage.begun(2) == "ac");
  stage.release('c');
  CHECK(stage.ended(2) == "ac");
}

TEST_CASE("a job between two slices that is cancelled frees its place in the window") {
  auto stage = Stage();
  auto pool = WorkerPool(1, 2);
  const auto a = pool.submit(stage.job('a', 5), stage.note('a'));
  pool.submit(stage.job('b', 1), stage.note('b'));
  pool.submit(stage.job('c', 1), stage.note('c'));
  CHECK(stage.begun(1) == "a");
  stage.release('a');
  CHECK(stage.begun(2) == "ab");  // a is back in the queue now
  pool.cancel(a);
  stage.release('b');
  CHECK(stage.begun(3) == "abc");
  stage.release('c');
  CHECK(stage.ended(2) == "bc");
}

TEST_CASE("a running job that is cancelled ends with its slice and reports nothing") {
  auto stage = Stage();
  auto pool = WorkerPool(1, 1);
  const auto a = pool.submit(stage.job('a', 1), stage.note('a'));
  pool.submit(stage.job('b', 1), stage.note('b'));
  CHECK(stage.begun(1) == "a");
  pool.cancel(a);
  stage.release('a');
  CHECK(stage.begun(2) == "ab");
  stage.release('b');
  CHECK(stage.ended(1) == "b");
}

TEST_CASE("what a job throws is reported, and its worker goes on") {
  auto pool = WorkerPool(1, 1);
  auto failed = std::promise<std::string>();
  pool.submit(call([]() -> bool { throw std::runtime_error("loss is not finite"); }),
              [&](const std::exception_ptr& error) {
                try {
                  std::rethrow_exception(error);
                } catch (const std::runtime_error& thrown) {
                  failed.set_value(thrown.what());
                }
              });
  CHECK(failed.get_future().get() == "loss is not finite");
  auto done = std::promise<bool>();
  pool.submit(call([] { return true; }),
              [&](const std::exception_ptr& error) { done.set_value(error == nullptr); });
  CHECK(done.get_future().get());
}

TEST_CASE("a callback may submit and cancel") {
  auto pool = WorkerPool(1, 1);
  auto done = std::promise<void>();
  pool.submit(call([] { return true; }), [&](const std::exception_ptr&) {
    const auto dropped = pool.submit(call([] { return false; }), {});
    pool.submit(call([] { return true; }), [&](const std::exception_ptr&) { done.set_value(); });
    pool.cancel(dropped);
  });
  done.get_future().get();
}

TEST_CASE("the destructor waits for running slices and drops the rest without a word") {
  auto stage = Stage();
  auto waiting = stage.job('b', 1);
  auto begun = std::promise<void>();
  auto go = std::promise<void>();
  bool first_slice = true;
  bool slice_ended = false;
  auto pool = std::make_unique<WorkerPool>(1, 1);
  pool->submit(call([&, told = go.get_future().share()] {
                 if (std::exchange(first_slice, false)) begun.set_value();
                 told.wait();
                 slice_ended = true;
                 return false;
               }),
               stage.note('a'));
  pool->submit(waiting, stage.note('b'));
  begun.get_future().get();
  auto ending = std::async(std::launch::async, [&pool] { pool.reset(); });
  go.set_value();
  ending.get();
  CHECK(slice_ended);
  CHECK(waiting.use_count() == 1);
  CHECK(stage.ended(0).empty());
}

TEST_CASE("the pool may end within its own callback") {
  auto pool = std::make_unique<WorkerPool>(2);
  auto ended = std::promise<void>();
  auto go = std::promise<void>();
  auto told = go.get_future().share();
  pool->submit(call([told] {
                 told.wait();
                 return true;
               }),
               [&](const std::exception_ptr&) {
                 pool.reset();
                 ended.set_value();
               });
  go.set_value();
  ended.get_future().get();
  CHECK(pool == nullptr);
}

TEST_CASE("many small jobs on several workers all end once") {
  constexpr int kJobs = 500;
  auto ended = std::atomic<int>(0);
  auto all = std::promise<void>();
  auto pool = WorkerPool(4, 3);
  CHECK(pool.workers() == 4);
  for (int i = 0; i < kJobs; ++i) {
    pool.submit(
        call([slices = 1 + i % 5]() mutable { return --slices == 0; }),
        [&](const std::exception_ptr&) {
          if (++ended == kJobs) all.set_value();
        },
        i % 10 == 0 ? Priority::high : Priority::normal);
  }
  all.get_future().get();
  CHECK(ended == kJobs);
}

TEST_CASE("a pool without workers is a bug") {
  CHECK_THROWS_AS(WorkerPool(0), std::invalid_argument);
}
