// Whole federations in which one actor after the other crashes: the run completes and every version is
// recorded once.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/federation.hpp"

using namespace fl;
using test::Federation;
using test::FederationOptions;

namespace {

const auto kCrashes = std::vector<std::string>{
    "aggregator@version=1",    "aggregator@version=3",    "scheduler@lease=1",   "scheduler@lease=6",
    "gateway@hello=2",         "evaluator@version=2",     "evaluator@version=5", "metrics@version=1",
    "metrics@version=3",       "checkpointer@snapshot=1", "session-1@update=2",  "client-2@task=2",
    "checkpointer@snapshot=3", "trainer-0@task=1",        "trainer-2@task=2"};

FederationOptions of(StrategyName strategy, std::vector<std::string> chaos) {
  auto options = FederationOptions();
  options.strategy.name = strategy;
  options.goals.max_versions = 6;
  options.speeds = {1, 1, 1, 3};
  options.chaos = std::move(chaos);
  return options;
}

/// What must hold after any run.
void check_whole(Federation& federation) {
  CHECK(federation.node->failed.empty());
  CHECK(federation.version == 6);
  auto expected = std::vector<Version>{1, 2, 3, 4, 5, 6};
  CHECK(federation.storage->line_versions() == expected);
  auto recorded = std::vector<Version>();
  for (const auto& record : federation.storage->versions) recorded.push_back(record.version);
  CHECK(recorded == expected);
  REQUIRE_FALSE(federation.storage->snapshots.empty());
  CHECK(federation.storage->snapshots.back().state.version == 6);
  // No task counts twice.
  auto tasks = std::vector<std::pair<ClientId, TaskId>>();
  for (const auto& update : federation.storage->updates)
    if (update.decision == ec::none) tasks.emplace_back(update.client, update.task);
  std::sort(tasks.begin(), tasks.end());
  CHECK(std::adjacent_find(tasks.begin(), tasks.end()) == tasks.end());
}

}  // namespace

TEST_CASE("asynchronous: any one actor may crash") {
  for (const auto& crash : kCrashes) {
    CAPTURE(crash);
    auto federation = Federation(of(StrategyName::fedavg_async, {crash}));
    REQUIRE(federation.run());
    check_whole(federation);
    CHECK(federation.totals.restarts == 1);
  }
}

TEST_CASE("synchronous: any one actor may crash, and the same model comes out") {
  auto undisturbed = Federation(of(StrategyName::fedavg, {}));
  REQUIRE(undisturbed.run());
  check_whole(undisturbed);
  CHECK(undisturbed.totals.restarts == 0);
  for (const auto& crash : kCrashes) {
    CAPTURE(crash);
    auto federation = Federation(of(StrategyName::fedavg, {crash}));
    REQUIRE(federation.run());
    check_whole(federation);
    CHECK(federation.totals.restarts == 1);
    CHECK(test::same_values(*federation.model, *undisturbed.model));
  }
}

TEST_CASE("many crashes in one run") {
  for (const auto strategy : {StrategyName::fedavg, StrategyName::fedavg_async}) {
    auto federation = Federation(of(strategy, kCrashes));
    REQUIRE(federation.run());
    check_whole(federation);
    // All struck; a session that crashes while metrics is down is not counted.
    CHECK(federation.totals.restarts >= kCrashes.size() - 1);
  }
}

TEST_CASE("crashes are the same from run to run") {
  const auto result = [] {
    auto federation = Federation(of(StrategyName::fedavg_async, kCrashes));
    REQUIRE(federation.run());
    return std::pair(std::vector<float>(federation.model->values().begin(), federation.model->values().end()),
                     federation.seconds);
  };
  CHECK(result() == result());
}

TEST_CASE("an actor that crashes for ever ends the run with a reason") {
  auto crashes = std::vector<std::string>();
  for (auto lease = 1; lease <= 10; ++lease) crashes.push_back("scheduler@lease=" + std::to_string(lease));
  auto federation = Federation(of(StrategyName::fedavg_async, crashes));
  CHECK_FALSE(federation.run());
  REQUIRE_FALSE(federation.node->failed.empty());
  CHECK(federation.node->failed[0].find("scheduler crashed more than 5 times") == 0);
}
