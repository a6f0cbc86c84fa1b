// Whole federations in virtual time.
#include <doctest/doctest.h>

#include "tests/support/federation.hpp"

using namespace fl;
using test::Federation;
using test::FederationOptions;

namespace {

FederationOptions of(StrategyName strategy) {
  auto options = FederationOptions();
  options.strategy.name = strategy;
  options.goals.max_versions = 0;
  return options;
}

FederationOptions rounds(Version versions) {
  auto options = of(StrategyName::fedavg);
  options.goals.max_versions = versions;
  return options;
}

std::vector<float> values_of(const Federation& federation) {
  const auto values = federation.model->values();
  return {values.begin(), values.end()};
}

std::vector<Version> all_versions(Version last) {
  auto versions = std::vector<Version>();
  for (auto version = Version{1}; version <= last; ++version) versions.push_back(version);
  return versions;
}

}  // namespace

TEST_CASE("asynchronous: nobody waits for the client that is ten times slower") {
  auto options = of(StrategyName::fedavg_async);
  options.goals.max_updates = 310;
  auto federation = Federation(options);
  REQUIRE(federation.run());
  CHECK(federation.updates == 310);
  // Three clients do five updates a second each, the fourth one in two seconds: 15.5 a second.
  CHECK(federation.seconds == doctest::Approx(20).epsilon(0.01));
  auto by_client = std::map<ClientId, int>();
  for (const auto& update : federation.storage->updates)
    if (update.decision == ec::none) ++by_client[update.client];
  CHECK(by_client[0] == 100);
  CHECK(by_client[1] == 100);
  CHECK(by_client[2] == 100);
  CHECK(by_client[3] == 10);
  CHECK(federation.storage->line_versions() == all_versions(federation.version));
  CHECK(federation.totals.updates_accepted == 310);
  CHECK(federation.totals.restarts == 0);
}

TEST_CASE("synchronous: every round takes as long as its slowest client") {
  auto federation = Federation(rounds(5));
  REQUIRE(federation.run());
  CHECK(federation.version == 5);
  CHECK(federation.updates == 20);
  CHECK(federation.seconds == doctest::Approx(10).epsilon(0.01));
  CHECK(federation.storage->line_versions() == all_versions(5));
}

TEST_CASE("the same seed gives the same bits, for every strategy") {
  for (const auto strategy : {StrategyName::fedavg, StrategyName::fedavg_async, StrategyName::fedasync,
                              StrategyName::fedasync_delta, StrategyName::fedbuff}) {
    auto options = of(strategy);
    options.goals.max_updates = 40;
    auto first = Federation(options);
    auto second = Federation(options);
    REQUIRE(first.run());
    REQUIRE(second.run());
    CHECK(first.version == second.version);
    CHECK(values_of(first) == values_of(second));
  }
}

TEST_CASE("synchronous: the result does not depend on who is faster") {
  const auto result = [](std::vector<double> speeds) {
    auto options = rounds(4);
    options.speeds = std::move(speeds);
    auto federation = Federation(options);
    REQUIRE(federation.run());
    return values_of(federation);
  };
  const auto expected = result({1, 1, 1, 1});
  CHECK(result({1, 2, 3, 4}) == expected);
  CHECK(result({7, 1, 5, 2}) == expected);
}

TEST_CASE("models and updates that travel in chunks give the same result") {
  auto options = rounds(4);
  auto shared = Federation(options);
  options.in_chunks = true;
  auto in_chunks = Federation(options);
  REQUIRE(shared.run());
  REQUIRE(in_chunks.run());
  CHECK(values_of(shared) == values_of(in_chunks));
}

TEST_CASE("every version is evaluated or skipped, the last always") {
  auto options = rounds(5);
  options.evaluation.every = 2;
  auto federation = Federation(options);
  REQUIRE(federation.run());
  auto evaluated = std::vector<Version>();
  for (const auto& line : federation.storage->lines)
    if (line.evaluation) evaluated.push_back(line.version);
  CHECK(evaluated == std::vector<Version>{2, 4, 5});
  REQUIRE(federation.last_evaluation);
  CHECK(federation.last_evaluation->version == 5);
}

TEST_CASE("clients evaluate where the server has no data") {
  auto options = rounds(3);
  options.evaluation.on_clients = true;
  options.validation_samples = 5;
  auto federation = Federation(options);
  REQUIRE(federation.run());
  REQUIRE(federation.last_evaluation);
  CHECK(federation.last_evaluation->version == 3);
  CHECK(federation.last_evaluation->samples == 20);
  for (const auto& line : federation.storage->lines) CHECK(line.evaluation.has_value());
}

TEST_CASE("a target of accuracy ends the run") {
  auto options = rounds(1000);
  options.goals.target_accuracy = 0.9;
  auto federation = Federation(options);
  REQUIRE(federation.run());
  CHECK(federation.version < 100);
  CHECK(federation.node->over[0].find("target_accuracy") != std::string::npos);
  CHECK(federation.last_evaluation->accuracy >= 0.9);
}
