#include "learning/ahead_pool.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

const auto kStart = fl::AheadPool::TimePoint();

/// Says when it runs.
class Noted final : public fl::Job {
 public:
  Noted(int id, std::vector<int>& order, std::mutex& mutex) : id_(id), order_(order), mutex_(mutex) {}
  bool run_slice(std::chrono::steady_clock::time_point) override {
    const auto lock = std::scoped_lock(mutex_);
    order_.push_back(id_);
    return true;
  }

 private:
  int id_;
  std::vector<int>& order_;
  std::mutex& mutex_;
};

/// Runs until it is let go.
class Gate final : public fl::Job {
 public:
  std::promise<void> reached;
  std::promise<void> released;
  bool run_slice(std::chrono::steady_clock::time_point) override {
    reached.set_value();
    released.get_future().wait();
    return true;
  }
};

class Throwing final : public fl::Job {
 public:
  bool run_slice(std::chrono::steady_clock::time_point) override { throw std::runtime_error("no luck"); }
};

/// Never ends by itself.
class Endless final : public fl::Job {
 public:
  std::atomic<int> slices = 0;
  bool run_slice(std::chrono::steady_clock::time_point) override {
    ++slices;
    return false;
  }
};

struct Order {
  std::vector<int> order;
  std::mutex mutex;
  std::shared_ptr<fl::Job> job(int id) { return std::make_shared<Noted>(id, order, mutex); }
};

}  // namespace

TEST_CASE("what is needed first is computed first") {
  auto noted = Order();
  auto pool = fl::AheadPool(1);
  const auto gate = std::make_shared<Gate>();
  const auto first = pool.submit(gate, kStart);
  gate->reached.get_future().wait();
  const auto late = pool.submit(noted.job(3), kStart + 3s);
  const auto early = pool.submit(noted.job(1), kStart + 1s);
  const auto middle = pool.submit(noted.job(2), kStart + 2s);
  gate->released.set_value();
  CHECK(pool.finish(late) == nullptr);
  CHECK(pool.finish(first) == nullptr);
  CHECK(pool.finish(middle) == nullptr);
  CHECK(pool.finish(early) == nullptr);
  // The one that was waited for may have overtaken the others, but they keep their order.
  REQUIRE(noted.order.size() == 3);
  std::erase(noted.order, 3);
  CHECK(noted.order == std::vector<int>{1, 2});
}

TEST_CASE("results that are early wait in a window, and one that is waited for needs no place in it") {
  auto noted = Order();
  auto pool = fl::AheadPool(1, 2);
  auto ids = std::vector<fl::AheadPool::JobId>();
  for (auto i = 0; i < 4; ++i) ids.push_back(pool.submit(noted.job(i), kStart + i * 1s));
  CHECK(pool.finish(ids[3]) == nullptr);  // would wait for ever for a place
  {
    const auto lock = std::scoped_lock(noted.mutex);
    CHECK(std::ranges::find(noted.order, 3) - noted.order.begin() <= 2);
  }
  for (auto i = 0; i < 3; ++i) CHECK(pool.finish(ids[static_cast<std::size_t>(i)]) == nullptr);
  CHECK(noted.order.size() == 4);
}

TEST_CASE("a job that throws says so when it is asked for") {
  auto pool = fl::AheadPool(2);
  const auto error = pool.finish(pool.submit(std::make_shared<Throwing>(), kStart));
  REQUIRE(error != nullptr);
  CHECK_THROWS_WITH(std::rethrow_exception(error), "no luck");
}

TEST_CASE("what is cancelled is not computed, or not any further, and is not known any more") {
  auto noted = Order();
  auto pool = fl::AheadPool(1, 1);
  const auto endless = std::make_shared<Endless>();
  const auto running = pool.submit(endless, kStart);
  const auto waiting = pool.submit(noted.job(1), kStart + 1s);
  while (endless->slices == 0) std::this_thread::yield();
  pool.cancel(waiting);
  pool.cancel(running);
  pool.cancel(running);
  const auto next = pool.submit(noted.job(2), kStart + 2s);
  CHECK(pool.finish(next) == nullptr);
  CHECK(noted.order == std::vector<int>{2});
  CHECK(pool.finish(waiting) != nullptr);
  const auto done = pool.submit(noted.job(3), kStart);
  pool.cancel(done);
  CHECK(pool.finish(pool.submit(noted.job(4), kStart)) == nullptr);
}

TEST_CASE("a pool that ends drops what it has") {
  auto noted = Order();
  const auto endless = std::make_shared<Endless>();
  {
    auto pool = fl::AheadPool(1);
    pool.submit(endless, kStart);
    pool.submit(noted.job(1), kStart + 1s);
    while (endless->slices == 0) std::this_thread::yield();
  }
  CHECK(noted.order.empty());
}

TEST_CASE("without workers a job is computed when its result is taken") {
  auto noted = Order();
  auto pool = fl::AheadPool(0);
  const auto first = pool.submit(noted.job(1), kStart);
  const auto second = pool.submit(noted.job(2), kStart);
  const auto third = pool.submit(noted.job(3), kStart);
  CHECK(pool.finish(second) == nullptr);
  CHECK(noted.order == std::vector<int>{2});
  pool.cancel(first);
  CHECK(pool.finish(first) != nullptr);
  CHECK(pool.finish(third) == nullptr);
  CHECK(noted.order == std::vector<int>{2, 3});
  CHECK_THROWS_WITH(std::rethrow_exception(pool.finish(pool.submit(std::make_shared<Throwing>(), kStart))),
                    "no luck");
}
