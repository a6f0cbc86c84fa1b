// Updates that are sent again because their receipts were lost, and receipts that are asked for again, with
// store.durability = "update": the answer is that of the ledger, whatever else is under way.
#include <doctest/doctest.h>

#include "tests/support/aggregator_fixture.hpp"

using namespace fl;
using test::AggregatorFixture;
using test::update_of;

namespace {

struct Fixture : AggregatorFixture {
  explicit Fixture(StrategyName strategy, GoalOptions goals = {})
      : AggregatorFixture(options_of(strategy, goals), Checkpointer::real, durable_storage()) {}

  static AggregatorOptions options_of(StrategyName strategy, GoalOptions goals) {
    auto options = test::async_options();
    options.strategy.name = strategy;
    options.goals = goals;
    options.durable_updates = true;
    options.snapshot_every = 100;
    return options;
  }
  static std::shared_ptr<test::MemoryStorage> durable_storage() {
    auto storage = std::make_shared<test::MemoryStorage>();
    storage->durable_updates = true;
    return storage;
  }
  bool in_ledger(TaskId task) const {
    return std::ranges::count_if(storage->ledger,
                                 [&](const auto& update) { return update.record.task == task; }) == 1;
  }
};

bool accepted(const test::Awaited<Receipt>& receipt) {
  return receipt->has_value() && (*receipt)->has_value() && (**receipt)->accepted();
}

ec code_of(const test::Awaited<Receipt>& receipt) {
  if (!receipt->has_value()) return ec::internal;
  return (*receipt)->has_value() ? (**receipt)->code : (*receipt)->error().code;
}

}  // namespace

TEST_CASE("an update that was folded into a cohort which is given up is not acknowledged afterwards") {
  auto fixture = Fixture(StrategyName::fedavg);
  fixture.open_cohort(0, {1, 2});
  const auto receipt = fixture.send(update_of(1, 0, 0));
  CHECK_FALSE(receipt->has_value());
  SUBCASE("because the run is stopped") {
    REQUIRE(fixture.stop("enough"));
    CHECK(code_of(receipt) == ec::run_over);
  }
  SUBCASE("because the cohort begins anew") {
    fixture.open_cohort(0, {3, 4});
    CHECK(code_of(receipt) == ec::unknown_lease);
  }
  CHECK(code_of(fixture.ask_receipt(0, 1)) == ec::unknown_lease);
  CHECK_FALSE(fixture.in_ledger(1));
}

TEST_CASE("the receipt of an update that is on disk waits for no later cohort") {
  auto fixture = Fixture(StrategyName::fedavg);
  fixture.open_cohort(0, {1});
  REQUIRE(fixture.submit(update_of(1, 0, 0))->accepted());
  fixture.open_cohort(1, {2, 3});
  const auto next = fixture.send(update_of(2, 1, 1));
  CHECK_FALSE(next->has_value());
  CHECK(accepted(fixture.ask_receipt(0, 1)));
  CHECK(accepted(fixture.send(update_of(1, 0, 0))));
  fixture.open_cohort(1, {4, 5});  // anew: what is on disk stays accepted
  CHECK(accepted(fixture.ask_receipt(0, 1)));
  CHECK(fixture.in_ledger(1));
}

TEST_CASE("an update that waits for its turn in the cohort is acknowledged over the newest connection") {
  auto fixture = Fixture(StrategyName::fedavg);
  fixture.open_cohort(0, {1, 2});
  fixture.send(update_of(2, 1, 0));  // early, and then the connection is lost
  auto again = test::Awaited<Receipt>();
  SUBCASE("which has the lease") {
    again = fixture.send(update_of(2, 1, 0));
  }
  SUBCASE("which only asks") {
    again = fixture.ask_receipt(1, 2);
  }
  CHECK_FALSE(again->has_value());
  CHECK(accepted(fixture.send(update_of(1, 0, 0))));
  CHECK(accepted(again));
  CHECK(fixture.version() == 1);
  CHECK(fixture.in_ledger(2));
}

TEST_CASE("a cohort's update is known again after a restart of the aggregator") {
  auto fixture = Fixture(StrategyName::fedavg);
  fixture.open_cohort(0, {1});
  REQUIRE(fixture.submit(update_of(1, 0, 0))->accepted());
  fixture.start();
  CHECK(accepted(fixture.send(update_of(1, 0, 0))));
  CHECK(fixture.in_ledger(1));
  CHECK(fixture.version() == 1);
}

TEST_CASE("while the model is being restored nobody is told that his update is unknown") {
  auto fixture = Fixture(StrategyName::fedavg_async);
  REQUIRE(fixture.submit(update_of(1, 0, 0))->accepted());
  fixture.spawn();
  CHECK(code_of(fixture.ask_receipt(0, 1)) == ec::unavailable);
  fixture.wire();
  CHECK(accepted(fixture.ask_receipt(0, 1)));
}

TEST_CASE("the update that ended the run is acknowledged again after the end") {
  auto goals = GoalOptions();
  goals.max_updates = 1;
  auto fixture = Fixture(StrategyName::fedavg_async, goals);
  REQUIRE(fixture.submit(update_of(1, 0, 0))->accepted());
  CHECK(accepted(fixture.send(update_of(1, 0, 0))));
  CHECK(code_of(fixture.send(update_of(2, 1, 0))) == ec::run_over);
}

TEST_CASE("while there is no room the disk is asked once a second, however many clients try again") {
  auto fixture = Fixture(StrategyName::fedavg_async);
  fixture.storage->refusal = Error{ec::store_full, "no room"};
  const auto first = fixture.send(update_of(1, 0, 0));
  const auto before = fixture.storage->commits;
  for (auto second = 0; second < 10; ++second) {
    for (auto client = 1u; client < 50; ++client)
      CHECK(code_of(fixture.send(update_of(client + 1, client, 0))) == ec::store_full);
    fixture.time.pass(std::chrono::seconds(1));
  }
  CHECK(fixture.storage->commits - before <= 11);
  fixture.storage->refusal.reset();
  fixture.time.pass(std::chrono::seconds(2));
  CHECK(accepted(first));
}
