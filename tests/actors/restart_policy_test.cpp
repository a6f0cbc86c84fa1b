#include "actors/restart_policy.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace fl;
using std::chrono::milliseconds;

namespace {

SupervisionOptions without_jitter() {
  auto options = SupervisionOptions();
  options.max_restarts = 4;
  options.period = Seconds(60);
  options.backoff_min = milliseconds(100);
  options.backoff_max = milliseconds(500);
  options.jitter = 0;
  return options;
}

}  // namespace

TEST_CASE("the wait doubles up to its limit") {
  auto random = RandomStream(1);
  auto waits = std::vector<long>();
  for (auto attempt = 0u; attempt < 5; ++attempt)
    waits.push_back(backoff(attempt, milliseconds(100), milliseconds(1000), 0, random).count());
  CHECK(waits == std::vector<long>{100, 200, 400, 800, 1000});
  CHECK(backoff(4'000'000'000u, milliseconds(100), milliseconds(1000), 0, random).count() == 1000);
}

TEST_CASE("jitter spreads the wait evenly within its share, the same for the same seed") {
  auto random = RandomStream(7);
  auto waits = std::vector<long>();
  for (auto i = 0; i < 1000; ++i)
    waits.push_back(backoff(0, milliseconds(1000), milliseconds(1000), 0.2, random).count());
  const auto [least, most] = std::minmax_element(waits.begin(), waits.end());
  CHECK(*least >= 800);
  CHECK(*least < 820);
  CHECK(*most <= 1200);
  CHECK(*most > 1180);
  auto same = RandomStream(7);
  CHECK(backoff(0, milliseconds(1000), milliseconds(1000), 0.2, same).count() == waits[0]);
}

TEST_CASE("crashes within the period are counted; more than max_restarts is the end") {
  auto policy = RestartPolicy(without_jitter(), 1);
  auto now = RestartPolicy::Clock::time_point();
  for (const auto wait : {100, 200, 400, 500}) {
    CHECK(policy.crashed(now) == milliseconds(wait));
    now += std::chrono::seconds(10);
  }
  CHECK_FALSE(policy.crashed(now));
  CHECK(policy.crashes_in_period() == 5);
}

TEST_CASE("after a quiet period the wait begins anew") {
  auto policy = RestartPolicy(without_jitter(), 1);
  auto now = RestartPolicy::Clock::time_point();
  policy.crashed(now);
  now += std::chrono::seconds(30);
  CHECK(policy.crashed(now) == milliseconds(200));
  now += std::chrono::seconds(31);
  CHECK(policy.crashed(now) == milliseconds(200));  // the first is forgotten
  now += std::chrono::seconds(61);
  CHECK(policy.crashed(now) == milliseconds(100));
}
