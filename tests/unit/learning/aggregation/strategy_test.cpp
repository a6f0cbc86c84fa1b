#include "learning/aggregation/strategy.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>

using fl::StrategyName;

namespace {

fl::StrategyOptions named(StrategyName name) {
  auto options = fl::StrategyOptions();
  options.name = name;
  return options;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// 50 samples, begun at version 4.
constexpr auto kUpdate = fl::UpdateFacts{.client = 2, .base = 4, .samples = 50};

}  // namespace

TEST_CASE("weights follow the table, for τ = 3, where the default s(τ) = (1 + 3)^−0.5 = 0.5") {
  struct Row {
    StrategyName name;
    double fold;
    double divisor;
  };
  for (const auto& row : {Row{StrategyName::fedavg, 50, 50},        // n; n
                          Row{StrategyName::fedavg_async, 25, 50},  // n · s = 50 · 0.5; n
                          Row{StrategyName::fedbuff, 0.5, 1},       // s; 1
                          Row{StrategyName::fedasync, 0.3, 1},      // α · s = 0.6 · 0.5; 1
                          Row{StrategyName::fedasync_delta, 0.3, 1}}) {
    const auto weight = fl::weigh(named(row.name), kUpdate, 7);
    REQUIRE(weight);
    CHECK(weight->fold == doctest::Approx(row.fold));
    CHECK(weight->divisor == row.divisor);
    CHECK(weight->staleness == 3);
  }
}

TEST_CASE("the freshest update has s = 1 in every strategy") {
  for (const auto name : {StrategyName::fedavg, StrategyName::fedavg_async, StrategyName::fedbuff,
                          StrategyName::fedasync, StrategyName::fedasync_delta}) {
    const auto options = named(name);
    const auto weight = fl::weigh(options, kUpdate, 4);
    REQUIRE(weight);
    CHECK(weight->staleness == 0);
    const auto full = fl::wants_model(name) || name == StrategyName::fedasync_delta ? 0.6 : weight->divisor;
    CHECK(weight->fold == full);
  }
}

TEST_CASE("α is not used up: the thousandth stale update weighs what the first did") {
  const auto options = named(StrategyName::fedasync);
  for (int i = 0; i < 1000; ++i) CHECK(fl::weigh(options, kUpdate, 7)->fold == doctest::Approx(0.3));
  CHECK(options.mixing == 0.6);
}

TEST_CASE("a weighing of one's own replaces the table, not the refusals") {
  auto options = named(StrategyName::fedbuff);
  options.max_staleness = 3;
  options.weighing = [](const fl::UpdateFacts& update, std::uint64_t staleness) {
    return fl::Weight{static_cast<double>(update.samples) - static_cast<double>(staleness), 2};
  };
  const auto weight = fl::weigh(options, kUpdate, 7);
  REQUIRE(weight);
  CHECK(weight->fold == 47);
  CHECK(weight->divisor == 2);
  CHECK(weight->staleness == 3);
  CHECK(fl::weigh(options, kUpdate, 8).error().code == fl::ec::too_stale);
  for (const auto bad : {fl::Weight{1, 0}, fl::Weight{NAN, 1}, fl::Weight{1, INFINITY}}) {
    options.weighing = [bad](const fl::UpdateFacts&, std::uint64_t) { return bad; };
    const auto refused = fl::weigh(options, kUpdate, 7);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == fl::ec::internal);
    CHECK(contains(refused.error().text, "client 2"));
  }
}

TEST_CASE("an update that is too stale is refused with the numbers") {
  auto options = named(StrategyName::fedbuff);
  options.max_staleness = 5;
  CHECK(fl::weigh(options, kUpdate, 9));  // τ = 5 is allowed
  const auto refused = fl::weigh(options, kUpdate, 13);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == fl::ec::too_stale);
  CHECK(refused.error().text ==
        "client 2's update is 9 versions old (from version 4, now 13); strategy.max_staleness allows 5");
  options.max_staleness = 0;
  CHECK(fl::weigh(options, kUpdate, 1'000'000));  // no limit
}

TEST_CASE("a base that does not exist yet is refused") {
  const auto refused = fl::weigh(named(StrategyName::fedavg_async), kUpdate, 3);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == fl::ec::unknown_base);
  CHECK(contains(refused.error().text, "version 4"));
  CHECK(contains(refused.error().text, "version 3"));
}

TEST_CASE("an update from no samples is refused") {
  const auto refused = fl::weigh(named(StrategyName::fedavg), {.client = 2, .base = 4, .samples = 0}, 4);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == fl::ec::bad_claim);
  CHECK(contains(refused.error().text, "0 samples"));
}

TEST_CASE("a buffer closes at min(K, live clients), at least 1") {
  const auto goal = [](StrategyName name, std::uint32_t buffer_size, std::uint32_t live) {
    auto options = named(name);
    options.buffer_size = buffer_size;
    return fl::buffer_goal(options, live);
  };
  CHECK(goal(StrategyName::fedavg_async, 0, 3) == 1);    // max(1, ⌊3/4⌋)
  CHECK(goal(StrategyName::fedavg_async, 0, 11) == 2);   // ⌊11/4⌋
  CHECK(goal(StrategyName::fedavg_async, 5, 100) == 5);  // as configured
  CHECK(goal(StrategyName::fedavg_async, 5, 3) == 3);    // only three are there
  CHECK(goal(StrategyName::fedbuff, 0, 100) == 10);
  CHECK(goal(StrategyName::fedbuff, 0, 4) == 4);
  CHECK(goal(StrategyName::fedbuff, 0, 0) == 1);
  CHECK(goal(StrategyName::fedasync, 7, 100) == 1);
  CHECK(goal(StrategyName::fedasync_delta, 7, 100) == 1);
  CHECK(goal(StrategyName::fedavg, 7, 100) == 100);  // the whole cohort
}

TEST_CASE("names are read and written, and an unknown one is answered with the list") {
  for (const auto* name : {"fedavg", "fedavg_async", "fedasync", "fedasync_delta", "fedbuff"}) {
    const auto parsed = fl::parse_strategy(name);
    REQUIRE(parsed);
    CHECK(fl::to_string(*parsed) == name);
    CHECK(fl::is_synchronous(*parsed) == (*parsed == StrategyName::fedavg));
    CHECK(fl::wants_model(*parsed) == (*parsed == StrategyName::fedasync));
  }
  const auto wrong = fl::parse_strategy("fedavgg");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().code == fl::ec::bad_config);
  CHECK(
      wrong.error().text ==
      "unknown strategy \"fedavgg\"; choose one of fedavg, fedavg_async, fedasync, fedasync_delta, fedbuff");
}
