// Federations whose clients are a fleet: rows in a table while they wait.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "tests/support/federation.hpp"

using namespace fl;
using test::Federation;
using test::FederationOptions;

namespace {

FederationOptions fleet(StrategyName strategy, std::vector<std::string> chaos = {}) {
  auto options = FederationOptions();
  options.strategy.name = strategy;
  options.goals.max_versions = 0;
  options.goals.max_updates = 60;
  options.chaos = std::move(chaos);
  options.in_fleet = true;
  return options;
}

FederationOptions rounds(Version versions) {
  auto options = fleet(StrategyName::fedavg);
  options.goals.max_updates = 0;
  options.goals.max_versions = versions;
  return options;
}

std::vector<float> values_of(const Federation& federation) {
  const auto values = federation.model->values();
  return {values.begin(), values.end()};
}

std::map<ClientId, int> accepted(const Federation& federation) {
  auto by_client = std::map<ClientId, int>();
  for (const auto& update : federation.storage->updates)
    if (update.decision == ec::none) ++by_client[update.client];
  return by_client;
}

std::shared_ptr<const Availability> windows(std::vector<Availability::Window> windows) {
  return std::make_shared<const Availability>(std::move(windows));
}

constexpr auto kEver = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("a fleet does what clients on their own do, at the same times") {
  auto options = fleet(StrategyName::fedavg_async);
  options.goals.max_updates = 310;
  auto federation = Federation(options);
  REQUIRE(federation.run());
  CHECK(federation.seconds == doctest::Approx(20).epsilon(0.01));
  CHECK(accepted(federation) == std::map<ClientId, int>{{0, 100}, {1, 100}, {2, 100}, {3, 10}});
  CHECK(federation.totals.updates_accepted == 310);
  CHECK(federation.totals.updates_rejected.empty());
  for (const auto& update : federation.storage->updates)
    CHECK(update.total_s == doctest::Approx(update.client == 3 ? 2 : 0.2));
}

TEST_CASE("synchronous: a fleet ends in the same model as clients on their own") {
  auto options = rounds(5);
  auto together = Federation(options);
  REQUIRE(together.run());
  options.in_fleet = false;
  auto alone = Federation(options);
  REQUIRE(alone.run());
  CHECK(values_of(together) == values_of(alone));
  CHECK(together.seconds == doctest::Approx(10).epsilon(0.01));
  CHECK(together.totals.bytes_up == alone.totals.bytes_up);
  CHECK(together.totals.bytes_down == alone.totals.bytes_down);
}

TEST_CASE("the model does not depend on the number of workers, for every strategy") {
  for (const auto strategy : {StrategyName::fedavg, StrategyName::fedavg_async, StrategyName::fedasync,
                              StrategyName::fedasync_delta, StrategyName::fedbuff}) {
    auto options = fleet(strategy);
    options.profiles = {{.speed = 1, .up_bytes_per_s = 1e4, .latency_s = 0.01},
                        {.speed = 1.7, .dropout = 0.2},
                        {.speed = 3.1, .down_bytes_per_s = 1e3},
                        {.speed = 9, .latency_s = 0.3}};
    auto models = std::vector<std::vector<float>>();
    for (const auto workers : {1, 2, 8}) {
      options.workers = static_cast<std::size_t>(workers);
      auto federation = Federation(options);
      REQUIRE(federation.run());
      models.push_back(values_of(federation));
    }
    CHECK(models[0] == models[1]);
    CHECK(models[0] == models[2]);
  }
}

TEST_CASE("transfers take the time of the client's network") {
  auto options = fleet(StrategyName::fedavg_async);
  options.goals.max_updates = 10;
  options.speeds = {1};
  options.profiles = {{.speed = 1}};
  auto federation = Federation(options);
  REQUIRE(federation.run());
  CHECK(federation.seconds == doctest::Approx(2).epsilon(0.01));
  const auto up = static_cast<double>(federation.totals.bytes_up) / 10;
  const auto down = static_cast<double>(federation.totals.bytes_down) / 10;
  options.profiles = {{.speed = 1, .up_bytes_per_s = up, .down_bytes_per_s = down / 2, .latency_s = 0.5}};
  auto slow = Federation(options);
  REQUIRE(slow.run());
  // A version that the client has already needs no download, nor its latency.
  CHECK(slow.seconds == doctest::Approx(10 * (0.2 + 1 + 2 + 2 * 0.5)).epsilon(0.02));
}

TEST_CASE("clients that drop out give their task up in the middle and get another") {
  auto options = fleet(StrategyName::fedavg_async);
  options.goals.max_updates = 400;
  options.profiles.assign(4, {.dropout = 0.5});
  auto federation = Federation(options);
  REQUIRE(federation.run());
  CHECK(federation.updates == 400);
  // Half of the tasks come to nothing, after half of their time on average.
  CHECK(federation.seconds == doctest::Approx(100 * 0.2 * 1.5).epsilon(0.1));
  auto round = rounds(5);
  round.profiles.assign(4, {.dropout = 0.5});
  auto synchronous = Federation(round);
  REQUIRE(synchronous.run());
  CHECK(synchronous.version == 5);
  CHECK(synchronous.updates < 20);
}

TEST_CASE("the federation goes on while devices come and go") {
  auto options = fleet(StrategyName::fedavg_async);
  options.goals.max_updates = 500;
  options.profiles.resize(4);
  options.profiles[1].availability = windows({{0, 10.1}, {20, kEver}});
  options.profiles[2].availability = std::make_shared<const Availability>(Availability::daily(0.5, 8, 3));
  options.profiles[3].availability = windows({{0, 0.1}, {4, 4.1}, {30, 31}});
  auto federation = Federation(options);
  REQUIRE(federation.run());
  CHECK(federation.updates == 500);
  const auto by_client = accepted(federation);
  CHECK(by_client.at(0) > by_client.at(1));
  CHECK(by_client.at(1) > by_client.at(2));
  CHECK(by_client.at(2) > by_client.at(3));
  CHECK(by_client.at(3) >= 1);
}

TEST_CASE("any one actor of a fleet's federation may crash") {
  for (const auto* crash :
       {"aggregator@version=3", "scheduler@lease=9", "evaluator@version=3", "metrics@version=3",
        "checkpointer@snapshot=2", "session-1@update=3", "client-2@task=3"}) {
    CAPTURE(crash);
    auto asynchronous = Federation(fleet(StrategyName::fedavg_async, {crash}));
    REQUIRE(asynchronous.run());
    CHECK(asynchronous.updates >= 60);
    CHECK(asynchronous.totals.restarts == 1);
    auto options = rounds(6);
    options.chaos = {crash};
    auto synchronous = Federation(options);
    REQUIRE(synchronous.run());
    CHECK(synchronous.version == 6);
  }
}

TEST_CASE("over-selection: the slowest of a fleet are not waited for") {
  auto options = rounds(4);
  options.speeds = {1, 1, 1, 10};
  options.fraction = 0.75;
  options.redundancy = 1.3;
  auto federation = Federation(options);
  REQUIRE(federation.run());
  CHECK(federation.seconds == doctest::Approx(0.8).epsilon(0.05));
  CHECK(federation.updates == 12);
}

TEST_CASE("the clients of a fleet evaluate where the server has no data") {
  auto options = fleet(StrategyName::fedavg_async);
  options.evaluation.on_clients = true;
  options.validation_samples = 5;
  auto federation = Federation(options);
  REQUIRE(federation.run());
  REQUIRE(federation.last_evaluation.has_value());
  CHECK(federation.last_evaluation->version == federation.version);
  CHECK(federation.last_evaluation->samples == 20);
}

TEST_CASE("a fleet's residuals outlive its errands") {
  auto options = fleet(StrategyName::fedavg_async);
  options.upload.codec = "top_k:0.5";
  options.goals.max_updates = 40;
  auto together = Federation(options);
  REQUIRE(together.run());
  auto again = Federation(options);
  REQUIRE(again.run());
  CHECK(values_of(together) == values_of(again));
  options.in_fleet = false;
  auto alone = Federation(options);
  REQUIRE(alone.run());
  CHECK(together.totals.bytes_up == alone.totals.bytes_up);
}

TEST_CASE("updates of a fleet can be durable") {
  auto options = fleet(StrategyName::fedavg_async);
  options.durable_updates = true;
  auto federation = Federation(options);
  REQUIRE(federation.run());
  const auto replayed = federation.replayed();
  CHECK(std::ranges::equal(replayed->values(), federation.model->values()));
}
