// Whole federations in which work is given twice, in virtual time.
#include <doctest/doctest.h>

#include <set>

#include "tests/support/federation.hpp"

using namespace fl;
using test::Federation;
using test::FederationOptions;

namespace {

std::vector<float> values_of(const ParametersPtr& model) {
  return {model->values().begin(), model->values().end()};
}

FederationOptions rounds(Version versions) {
  auto options = FederationOptions();
  options.strategy.name = StrategyName::fedavg;
  options.goals.max_versions = versions;
  options.durable_updates = true;
  return options;
}

/// No work was applied twice.
void check_once(const Federation& federation) {
  auto works = std::set<std::pair<ClientId, TaskId>>();
  for (const auto& update : federation.storage->ledger)
    CHECK(works.insert({update.record.owner, update.record.work}).second);
}

}  // namespace

TEST_CASE("over-selection: a cohort does not wait for its straggler") {
  auto options = rounds(5);
  options.fraction = 0.75;
  options.redundancy = 1.3;
  auto federation = Federation(options);
  REQUIRE(federation.run());
  CHECK(federation.version == 5);
  CHECK(federation.updates == 15);
  CHECK(federation.seconds == doctest::Approx(1).epsilon(0.05));  // 10 with the straggler
  for (const auto& update : federation.storage->ledger) CHECK(update.record.client != 3);
  CHECK(values_of(federation.replayed()) == values_of(federation.model));
}

TEST_CASE("backup tasks: a straggler's work is done by its replica, with the same result") {
  auto options = rounds(5);
  // Where receipts wait for the whole cohort, so do the clients that have answered.
  options.durable_updates = false;
  options.samples = {10, 11, 12, 12};  // the third and the slow fourth hold the same
  auto slow = Federation(options);
  REQUIRE(slow.run());
  options.backup_tasks = 1;
  auto helped = Federation(options);
  REQUIRE(helped.run());
  CHECK(slow.seconds == doctest::Approx(10).epsilon(0.05));
  CHECK(helped.seconds < 0.5 * slow.seconds);
  CHECK(values_of(helped.model) == values_of(slow.model));
  CHECK(helped.updates == 20);
  auto by_replica = 0;
  for (const auto& update : helped.storage->updates)
    by_replica += update.decision == ec::none && update.owner != update.client;
  CHECK(by_replica == 5);
}

TEST_CASE("asynchronous backups and doubled work count once, whatever the order of events") {
  for (const auto redundancy : {1.0, 2.0}) {
    for (auto seed = std::uint64_t{1}; seed <= 5; ++seed) {
      auto options = FederationOptions();
      options.strategy.name = StrategyName::fedbuff;
      options.strategy.buffer_size = 3;
      options.goals.max_versions = 0;
      options.goals.max_updates = 60;
      options.durable_updates = true;
      options.backup_tasks = 2;
      options.redundancy = redundancy;
      options.samples = {10, 10, 10, 10};
      options.shuffle = seed;
      auto federation = Federation(options);
      REQUIRE(federation.run());
      CHECK(federation.updates == 60);
      CHECK(federation.storage->ledger.size() == 60);
      check_once(federation);
      CHECK(values_of(federation.replayed()) == values_of(federation.model));
      auto shared = 0;
      for (const auto& update : federation.storage->ledger)
        shared += update.record.owner != update.record.client;
      CHECK(shared > 0);
    }
  }
}

TEST_CASE("replicas and over-selection survive crashes in the middle") {
  for (const auto synchronous : {false, true}) {
    for (const auto* crash :
         {"scheduler@lease=9", "aggregator@version=3", "gateway@hello=3", "session-2@update=3"}) {
      CAPTURE(crash);
      CAPTURE(synchronous);
      auto options = rounds(8);
      if (!synchronous) {
        options.strategy.name = StrategyName::fedbuff;
        options.strategy.buffer_size = 2;
      }
      options.samples = {10, 11, 12, 12, 12};
      options.speeds = {1, 1, 1, 10, 2};
      options.fraction = 0.8;
      options.redundancy = synchronous ? 1.25 : 2;
      options.backup_tasks = 2;
      options.chaos = {crash};
      auto federation = Federation(options);
      REQUIRE(federation.run());
      CHECK(federation.version == 8);
      check_once(federation);
      CHECK(values_of(federation.replayed()) == values_of(federation.model));
    }
  }
}
