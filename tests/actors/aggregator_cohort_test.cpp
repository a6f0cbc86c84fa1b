// The aggregator with a synchronous strategy: cohorts.
#include <doctest/doctest.h>

#include "tests/support/aggregator_fixture.hpp"

using namespace fl;
using test::AggregatorFixture;
using test::update_of;

namespace {

AggregatorOptions sync_options() {
  auto options = test::async_options();
  options.strategy.name = StrategyName::fedavg;
  return options;
}

/// The model after a cohort of three whose updates come in this order.
std::vector<float> model_after(std::vector<TaskId> order) {
  auto fixture = AggregatorFixture(sync_options());
  fixture.open_cohort(0, {1, 2, 3});
  for (const auto task : order) {
    // Numbers whose sum depends on the order of adding.
    const auto value = task == 1 ? 1e8f : task == 2 ? 1.0f : -1e8f;
    CHECK(fixture.submit(update_of(task, static_cast<ClientId>(task - 1), 0, value, 7 * task))->accepted());
  }
  REQUIRE(fixture.version() == 1);
  const auto values = fixture.model()->parameters().value();
  return {values->values().begin(), values->values().end()};
}

}  // namespace

TEST_CASE("a cohort is folded in the order of its tasks, whoever is faster") {
  const auto expected = model_after({1, 2, 3});
  for (auto order : {std::vector<TaskId>{1, 3, 2}, {2, 1, 3}, {2, 3, 1}, {3, 1, 2}, {3, 2, 1}})
    CHECK(model_after(order) == expected);
}

TEST_CASE("a cohort waits for every task, answered or lost") {
  auto fixture = AggregatorFixture(sync_options());
  fixture.open_cohort(0, {1, 2, 3});
  fixture.submit(update_of(3, 2, 0, 6.0f));
  fixture.submit(update_of(1, 0, 0, 2.0f));
  CHECK(fixture.version() == 0);
  fixture.lose(2);
  CHECK(fixture.version() == 1);
  CHECK(fixture.model_value() == doctest::Approx(4));
  CHECK(fixture.neighbours.metrics->versions[0].updates == 2);
  fixture.lose(3);  // of a cohort that is closed
  CHECK(fixture.version() == 1);
}

TEST_CASE("what does not belong to the cohort is refused, and so is a second answer") {
  auto fixture = AggregatorFixture(sync_options());
  CHECK(fixture.submit(update_of(1, 0, 0))->code == ec::unknown_lease);  // no cohort is open
  fixture.open_cohort(0, {1, 2});
  CHECK(fixture.submit(update_of(9, 0, 0))->code == ec::unknown_lease);
  CHECK(fixture.submit(update_of(2, 1, 0))->accepted());
  CHECK(fixture.submit(update_of(2, 1, 0))->code == ec::duplicate_update);
  fixture.lose(2);  // too late: it was answered
  CHECK(fixture.version() == 0);
  CHECK(fixture.submit(update_of(1, 0, 0))->accepted());
  CHECK(fixture.version() == 1);
  CHECK(fixture.submit(update_of(1, 0, 0))->code == ec::unknown_lease);
}

TEST_CASE("a task given up cannot be answered any more") {
  auto fixture = AggregatorFixture(sync_options());
  fixture.open_cohort(0, {1, 2});
  fixture.lose(1);
  CHECK(fixture.submit(update_of(1, 0, 0))->code == ec::duplicate_update);
}

TEST_CASE("a cohort that is begun anew forgets what was folded") {
  auto fixture = AggregatorFixture(sync_options());
  fixture.open_cohort(0, {1, 2});
  fixture.submit(update_of(1, 0, 0, 100.0f));
  fixture.open_cohort(0, {1, 2});
  fixture.submit(update_of(1, 0, 0, 2.0f));
  fixture.submit(update_of(2, 1, 0, 4.0f));
  CHECK(fixture.version() == 1);
  CHECK(fixture.model_value() == doctest::Approx(3));
  fixture.open_cohort(0, {1, 2});  // news of an old version
  CHECK(fixture.submit(update_of(1, 0, 0))->code == ec::unknown_lease);
}

TEST_CASE("a cohort that is lost as a whole is asked for anew") {
  auto fixture = AggregatorFixture(sync_options());
  fixture.open_cohort(0, {1, 2});
  fixture.lose(1);
  fixture.lose(2);
  CHECK(fixture.version() == 0);
  REQUIRE(fixture.neighbours.scheduler->publications.size() == 2);
  CHECK(fixture.neighbours.scheduler->publications[1]->anew);
}

TEST_CASE("an update whose claims the strategy refuses does not hold up the cohort") {
  auto fixture = AggregatorFixture(sync_options());
  fixture.open_cohort(0, {1, 2});
  CHECK(fixture.submit(update_of(1, 0, 0, 1, 0))->code == ec::bad_claim);
  CHECK(fixture.submit(update_of(2, 1, 0))->accepted());
  CHECK(fixture.version() == 1);
}

TEST_CASE("after the end no cohort becomes a version, however its tasks end") {
  auto fixture = AggregatorFixture(sync_options());
  fixture.open_cohort(0, {1, 2});
  fixture.submit(update_of(1, 0, 0));
  const auto last = fixture.stop("enough");
  REQUIRE(last);
  fixture.lose(2);
  CHECK(fixture.version() == 0);
  CHECK(fixture.neighbours.metrics->versions.empty());
}

TEST_CASE(
    "over-selection: the first answers make the version, in the order of their tasks; the rest is "
    "duplicate") {
  auto fixture = AggregatorFixture(sync_options());
  fixture.open_cohort(0, {1, 2, 3, 4}, 2);
  CHECK(fixture.submit(update_of(4, 3, 0, 6.0f))->accepted());
  CHECK(fixture.version() == 0);
  CHECK(fixture.submit(update_of(2, 1, 0, 2.0f))->accepted());
  CHECK(fixture.version() == 1);
  CHECK(fixture.model_value() == doctest::Approx(4));
  CHECK(fixture.submit(update_of(1, 0, 0))->code == ec::duplicate_update);
  CHECK(fixture.submit(update_of(9, 0, 0))->code == ec::unknown_lease);
  fixture.open_cohort(1, {5, 6, 7}, 2);
  CHECK(fixture.submit(update_of(3, 2, 0))->code == ec::duplicate_update);  // late by a version
  CHECK(fixture.submit(update_of(7, 2, 1))->accepted());
  fixture.lose(5);
  fixture.lose(6);  // fewer are left than were wanted
  CHECK(fixture.version() == 2);
}

TEST_CASE("a replica's answer takes the place of the task that it backs up") {
  const auto model = [](bool by_replica) {
    auto fixture = AggregatorFixture(sync_options());
    fixture.open_cohort(0, {1, 2});
    CHECK(fixture.submit(update_of(2, 1, 0, 3e8f, 7))->accepted());
    auto answer = ValidUpdate(*update_of(by_replica ? 9 : 1, by_replica ? 5 : 0, 0, 1.0f, 3));
    answer.owner = 0;
    answer.work = 1;
    CHECK(fixture.submit(std::make_shared<const ValidUpdate>(answer))->accepted());
    CHECK(fixture.version() == 1);
    CHECK(fixture.submit(update_of(1, 0, 0))->code == ec::unknown_lease);  // the cohort is over
    return fixture.model_value();
  };
  CHECK(model(true) == model(false));

  auto fixture = AggregatorFixture(sync_options());
  fixture.open_cohort(0, {1, 2});
  auto answer = ValidUpdate(*update_of(9, 5, 0));
  answer.owner = 0;
  answer.work = 1;
  CHECK(fixture.submit(std::make_shared<const ValidUpdate>(answer))->accepted());
  CHECK(fixture.submit(update_of(1, 0, 0))->code == ec::duplicate_update);
  CHECK(fixture.version() == 0);
}
