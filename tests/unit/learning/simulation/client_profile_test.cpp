#include "learning/simulation/client_profile.hpp"

#include <doctest/doctest.h>

#include <limits>

using fl::Availability;

namespace {

constexpr auto kForGood = std::numeric_limits<double>::infinity();

/// Follows the changes from `from_s`: the times at which they come, and that each says what online_at says.
std::vector<double> changes(const Availability& availability, double from_s, std::size_t count) {
  auto times = std::vector<double>();
  auto now = from_s;
  while (times.size() < count) {
    const auto next = availability.next_change(now);
    if (!next) break;
    CHECK(next->at_s > now);
    // Between two changes nothing changes.
    CHECK(availability.online_at((now + next->at_s) / 2) != next->online);
    now = next->at_s;
    times.push_back(now);
  }
  return times;
}

}  // namespace

TEST_CASE("who has no windows is always there") {
  CHECK(Availability().online_at(1e9));
  CHECK_FALSE(Availability().next_change(0).has_value());
  CHECK(Availability::daily(1, 100, 30).online_at(12));
}

TEST_CASE("windows come once") {
  const auto availability = Availability({{10, 20}, {30, kForGood}});
  CHECK_FALSE(availability.online_at(9));
  CHECK(availability.online_at(10));
  CHECK_FALSE(availability.online_at(20));
  CHECK(availability.online_at(1e12));
  CHECK(changes(availability, 0, 9) == std::vector<double>{10, 20, 30});
}

TEST_CASE("windows repeat") {
  const auto availability = Availability({{0, 10}, {60, 70}}, 100);
  CHECK(availability.online_at(205));
  CHECK_FALSE(availability.online_at(280));
  CHECK(changes(availability, 5, 6) == std::vector<double>{10, 60, 70, 100, 110, 160});
}

TEST_CASE("a window may go on across the end of its period") {
  const auto availability = Availability::daily(0.5, 100, 80);  // 80 to 130
  CHECK(availability.online_at(5));
  CHECK_FALSE(availability.online_at(50));
  CHECK(changes(availability, 0, 4) == std::vector<double>{30, 80, 130, 180});
  CHECK(changes(Availability({{0, 100}}, 100), 0, 1).empty());
}

TEST_CASE("uneven periods do not lose their changes to rounding") {
  const auto availability = Availability::daily(0.3, 86'400.1, 12'345.6);
  CHECK(changes(availability, 0, 2'000).size() == 2'000);
}

TEST_CASE("transfers take latency and bytes over rate, and nothing takes no time") {
  auto profile = fl::ClientProfile();
  CHECK(profile.upload_seconds(1'000) == 0);
  profile.up_bytes_per_s = 1'000;
  profile.latency_s = 0.5;
  CHECK(profile.upload_seconds(2'000) == 2.5);
  CHECK(profile.upload_seconds(0) == 0);
  CHECK(profile.download_seconds(2'000) == 0.5);
}

TEST_CASE(
    "a client gives up as often as its dropout says, anywhere in the middle, and in the same tasks again") {
  auto given_up = 0;
  auto sum = 0.0;
  for (auto task = fl::TaskId{1}; task <= 4'000; ++task) {
    const auto share = fl::gives_up_after(0.25, 7, 3, task);
    CHECK(share == fl::gives_up_after(0.25, 7, 3, task));
    CHECK_FALSE(fl::gives_up_after(0, 7, 3, task));
    if (!share) continue;
    ++given_up;
    sum += *share;
    CHECK(*share >= 0);
    CHECK(*share < 1);
  }
  CHECK(given_up == doctest::Approx(1'000).epsilon(0.1));
  CHECK(sum / given_up == doctest::Approx(0.5).epsilon(0.1));
}
