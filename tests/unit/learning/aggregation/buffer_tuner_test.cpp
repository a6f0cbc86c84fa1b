#include "learning/aggregation/buffer_tuner.hpp"

#include <doctest/doctest.h>

#include <deque>
#include <functional>
#include <queue>
#include <vector>

#include "learning/random.hpp"

using fl::BufferTuner;
using fl::RandomStream;

namespace {

/// Clients that work without a pause, and an aggregator with an automatic buffer.
struct Federation {
  explicit Federation(double target, std::uint32_t first_size) : tuner(target), size(first_size) {}

  struct Task {
    double ends_at;
    std::uint64_t base;
    bool operator>(const Task& other) const { return ends_at > other.ends_at; }
  };

  void add_clients(int count, double seconds) {
    for (auto i = 0; i < count; ++i) tasks.push({now + seconds * (0.5 + random.uniform()), version});
    mean_s = seconds;
  }

  /// Until so many versions are made.
  void run(std::uint64_t versions) {
    for (const auto last = version + versions; version < last;) {
      const auto task = tasks.top();
      tasks.pop();
      now = task.ends_at;
      staleness += static_cast<double>(version - task.base);
      tuner.note_update(task.base);
      if (++held == size) close();
      if (static_cast<int>(tasks.size()) < most)
        tasks.push({now + mean_s * (0.5 + random.uniform()), version});
    }
  }

  void close() {
    last_staleness = staleness / held;
    ++version;
    if (const auto next = tuner.note_version(version, now, size)) {
      size = *next;
      ++changes;
    }
    held = 0;
    staleness = 0;
  }

  BufferTuner tuner;
  std::uint32_t size;
  std::priority_queue<Task, std::vector<Task>, std::greater<>> tasks;
  int most = 1 << 30;
  RandomStream random{3};
  double now = 0;
  double mean_s = 1;
  std::uint64_t version = 0;
  std::uint32_t held = 0;
  double staleness = 0;
  double last_staleness = 0;
  int changes = 0;
};

}  // namespace

TEST_CASE("the buffer finds the size that gives the wanted staleness, from either side") {
  for (const auto first : {1u, 10u, 100u}) {
    CAPTURE(first);
    auto federation = Federation(4, first);
    federation.add_clients(100, 10);
    federation.run(300);
    // A size within a fifth of the right one is left alone.
    CHECK(federation.size == doctest::Approx(25).epsilon(0.35));
    CHECK(federation.last_staleness == doctest::Approx(4).epsilon(0.35));
    CHECK(federation.tuner.under_way() == doctest::Approx(100).epsilon(0.15));
    const auto changes = federation.changes;
    federation.run(300);
    CHECK(federation.changes <= changes + 2);  // it stays
  }
}

TEST_CASE("the buffer follows clients that leave and come") {
  auto federation = Federation(2, 10);
  federation.add_clients(200, 10);
  federation.run(200);
  CHECK(federation.size == doctest::Approx(100).epsilon(0.2));
  federation.most = 20;
  federation.run(200);
  CHECK(federation.size == doctest::Approx(10).epsilon(0.3));
  federation.most = 60;
  federation.add_clients(40, 10);
  federation.run(200);
  CHECK(federation.size == doctest::Approx(30).epsilon(0.3));
}

TEST_CASE("versions come no faster than the server should make them") {
  auto federation = Federation(50, 1);
  federation.add_clients(1'000, 0.1);  // 10,000 updates a second; staleness alone would make 20 of it
  federation.run(1'000);
  CHECK(federation.size >= 10'000 * BufferTuner::kMinVersionSeconds * 0.7);
}

TEST_CASE("a single client has a buffer of one") {
  auto federation = Federation(4, 1);
  federation.add_clients(1, 1);
  federation.run(50);
  CHECK(federation.size == 1);
  CHECK(federation.changes == 0);
}

TEST_CASE("the first size stays where it is right, also while all clients have begun at once") {
  auto federation = Federation(4, 25);
  federation.add_clients(100, 10);
  federation.run(40);
  CHECK(federation.changes <= 1);
  CHECK(federation.size == doctest::Approx(25).epsilon(0.25));
}

TEST_CASE("clocks that stand still, or fall back on a resume, do no harm") {
  auto tuner = BufferTuner(4);
  for (const auto now_s : {100.0, 100.0, 50.0}) {
    for (auto i = 0; i < 10; ++i) tuner.note_update(0);
    CHECK_FALSE(tuner.note_version(1, now_s, 10));
    CHECK(tuner.updates_per_s() == 0);
  }
}

TEST_CASE("an update from a version that nobody remembers says nothing") {
  auto tuner = BufferTuner(4);
  for (auto version = fl::Version{1}; version <= BufferTuner::kVersionsBack + 500; ++version) {
    tuner.note_update(version > 1 ? version - 1 : 0);
    tuner.note_update(1);
    tuner.note_version(version, 0, 2);
  }
  CHECK(tuner.under_way() < BufferTuner::kVersionsBack);
}
