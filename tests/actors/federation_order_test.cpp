// Whole federations whose events come in any order that threads might bring about.
#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

#include "tests/support/federation.hpp"

using namespace fl;
using test::Federation;
using test::FederationOptions;

namespace {

constexpr auto kOrders = 60;

FederationOptions of(StrategyName strategy, std::uint64_t order) {
  auto options = FederationOptions();
  options.strategy.name = strategy;
  options.goals.max_versions = 5;
  options.speeds = {1, 1, 1, 2};
  options.shuffle = order;
  options.in_chunks = order % 2 == 1;
  return options;
}

/// One crash of each kind, at moments that differ with the order.
std::vector<std::string> crashes(std::uint64_t order) {
  auto random = RandomStream(order);
  const auto at = [&](const std::string& moment, std::uint64_t most) {
    return moment + "=" + std::to_string(1 + random.below(most));
  };
  const auto who = std::to_string(random.below(4));
  return {at("aggregator@version", 5),
          at("scheduler@lease", 10),
          at("gateway@hello", 4),
          at("evaluator@version", 5),
          at("metrics@version", 5),
          at("checkpointer@snapshot", 4),
          at("session-" + who + "@update", 3),
          at("client-" + who + "@task", 3),
          at("trainer-" + who + "@task", 3)};
}

void check_whole(Federation& federation) {
  CHECK(federation.version == 5);
  const auto expected = std::vector<Version>{1, 2, 3, 4, 5};
  CHECK(federation.storage->line_versions() == expected);
  CHECK(federation.storage->versions.size() == 5);
  CHECK(federation.storage->snapshots.back().state.version == 5);
  auto tasks = std::vector<std::pair<ClientId, TaskId>>();
  for (const auto& update : federation.storage->updates)
    if (update.decision == ec::none) tasks.emplace_back(update.client, update.task);
  std::sort(tasks.begin(), tasks.end());
  CHECK(std::adjacent_find(tasks.begin(), tasks.end()) == tasks.end());
}

}  // namespace

TEST_CASE("in any order of events a run completes") {
  for (auto order = 0; order < kOrders; ++order) {
    CAPTURE(order);
    auto federation = Federation(of(StrategyName::fedavg_async, static_cast<std::uint64_t>(order)));
    REQUIRE(federation.run());
    check_whole(federation);
  }
}

TEST_CASE("in any order of events synchronous training ends in the same model") {
  auto expected = std::vector<float>();
  for (auto order = 0; order < kOrders; ++order) {
    CAPTURE(order);
    auto federation = Federation(of(StrategyName::fedavg, static_cast<std::uint64_t>(order)));
    REQUIRE(federation.run());
    check_whole(federation);
    const auto values = federation.model->values();
    if (expected.empty()) expected.assign(values.begin(), values.end());
    CHECK(std::ranges::equal(values, expected));
  }
}

TEST_CASE("in any order of events and crashes a run completes, synchronous ones with the same model") {
  auto undisturbed = Federation(of(StrategyName::fedavg, 0));
  REQUIRE(undisturbed.run());
  for (auto order = 0; order < kOrders; ++order) {
    for (const auto strategy : {StrategyName::fedavg_async, StrategyName::fedavg}) {
      CAPTURE(order);
      auto options = of(strategy, static_cast<std::uint64_t>(order));
      options.chaos = crashes(static_cast<std::uint64_t>(order));
      auto federation = Federation(options);
      REQUIRE(federation.run());
      check_whole(federation);
      if (strategy == StrategyName::fedavg) CHECK(test::same_values(*federation.model, *undisturbed.model));
    }
  }
}
