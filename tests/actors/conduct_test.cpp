// Limits, strikes and a log that cannot be filled: plain classes.
#include "actors/conduct.hpp"

#include <doctest/doctest.h>

#include "tests/support/memory_storage.hpp"

using namespace fl;
using namespace std::chrono_literals;

namespace {

const auto kBegin = TokenBucket::TimePoint() + 1h;

}  // namespace

TEST_CASE("a bucket gives its rate on average and its content at once") {
  auto bucket = TokenBucket(2, 3);
  for (auto i = 0; i < 3; ++i) CHECK(bucket.take(kBegin));
  CHECK_FALSE(bucket.take(kBegin));
  CHECK_FALSE(bucket.take(kBegin + 400ms));
  CHECK(bucket.take(kBegin + 600ms));
  CHECK_FALSE(bucket.take(kBegin + 600ms));
  CHECK_FALSE(bucket.take(kBegin));  // a clock that goes back gives nothing
  auto taken = 0;
  for (auto time = kBegin + 100s; time < kBegin + 200s; time += 10ms) taken += bucket.take(time);
  CHECK(taken == doctest::Approx(200).epsilon(0.02));
}

TEST_CASE("a flood is an offence once a second, and less than the limit is none") {
  auto guard = FloodGuard(100);
  for (auto i = 0; i < 1000; ++i) CHECK(guard.request(kBegin + i * 10ms) == FloodGuard::Verdict::pass);
  auto offences = 0;
  auto refused = 0;
  for (auto i = 0; i < 10'000; ++i) {
    const auto verdict = guard.request(kBegin + 20s + i * 500us);  // 2,000 a second, for five seconds
    offences += verdict == FloodGuard::Verdict::offence;
    refused += verdict == FloodGuard::Verdict::refuse;
  }
  CHECK(offences == 5);
  CHECK(refused > 9000);
  auto unlimited = FloodGuard(0);
  for (auto i = 0; i < 1000; ++i) CHECK(unlimited.request(kBegin) == FloodGuard::Verdict::pass);
}

TEST_CASE("of many lines some are written, and say how many were not") {
  auto log = LogLimit();
  auto lines = 0;
  for (auto i = 0; i < 1000; ++i) lines += log.next(kBegin).has_value();
  CHECK(lines == 10);
  CHECK(log.next(kBegin + 10s) == " (and 990 more before)");
  CHECK_FALSE(log.next(kBegin + 10s));
}

TEST_CASE("offences add up to a quarantine, anything else does not") {
  auto storage = test::MemoryStorage();
  auto options = ConductOptions();
  options.strikes = 3;
  auto late = Error{ec::too_stale, "late"};
  for (auto i = 0; i < 10; ++i) CHECK_FALSE(strike(storage, "ward", options, late));
  CHECK(late.text == "late");
  for (auto i = 1; i <= 3; ++i) {
    auto error = Error{ec::not_finite, "NaN"};
    CHECK(strike(storage, "ward", options, error) == (i == 3));
    CHECK(error.text.find("offence " + std::to_string(i) + " of 3") != std::string::npos);
  }
  const auto refused = check_quarantine(storage, "ward");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ec::quarantined);
  CHECK(refused.error().text.find("NaN") != std::string::npos);
  CHECK(refused.error().text.find("pardon RUN_DIR ward") != std::string::npos);
  CHECK(check_quarantine(storage, "other"));

  options.strikes = 0;
  auto error = Error{ec::flood, "much"};
  for (auto i = 0; i < 10; ++i) CHECK_FALSE(strike(storage, "free", options, error));
  CHECK(storage.strikes.count("free") == 0);
}
