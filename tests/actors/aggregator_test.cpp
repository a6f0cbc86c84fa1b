// The aggregator alone, asynchronous: folding, publishing, goals, saving, coming back.
#include "actors/aggregator.hpp"

#include <doctest/doctest.h>

#include "tests/support/aggregator_fixture.hpp"

using namespace fl;
using test::AggregatorFixture;
using test::async_options;
using test::update_of;

TEST_CASE("the aggregator publishes the initial model to those who work with it") {
  auto fixture = AggregatorFixture(async_options());
  REQUIRE(fixture.neighbours.scheduler->publications.size() == 1);
  const auto& first = *fixture.neighbours.scheduler->publications[0];
  CHECK(first.model->version() == 0);
  CHECK(first.anew);
  CHECK(first.next_task == 1);
  CHECK(fixture.neighbours.evaluator->publications.size() == 1);
  CHECK(fixture.neighbours.metrics->restores == std::vector<std::pair<Version, bool>>{{0, true}});
  CHECK(fixture.storage->snapshots.size() == 1);  // version 0 is on disk before the first update
}

TEST_CASE("an update is folded at once, and the full buffer becomes a version") {
  auto options = async_options();
  options.strategy.buffer_size = 2;
  auto fixture = AggregatorFixture(options);
  fixture.live(3);
  const auto receipt = fixture.submit(update_of(1, 0, 0, 2.0f, 10));
  REQUIRE(receipt);
  CHECK(receipt->accepted());
  CHECK(receipt->weight == 10);
  CHECK(fixture.version() == 0);
  // A second update of the same client joins the buffer and does not fill it.
  CHECK(fixture.submit(update_of(2, 0, 0, 2.0f, 10))->accepted());
  CHECK(fixture.version() == 0);
  CHECK(fixture.submit(update_of(3, 1, 0, 5.0f, 20))->accepted());
  CHECK(fixture.version() == 1);
  CHECK(fixture.model_value() == doctest::Approx((10 * 2 + 10 * 2 + 20 * 5) / 40.0));

  CHECK(fixture.neighbours.scheduler->settled ==
        std::vector<std::pair<ClientId, TaskId>>{{0, 1}, {0, 2}, {1, 3}});
  REQUIRE(fixture.neighbours.metrics->versions.size() == 1);
  const auto& record = fixture.neighbours.metrics->versions[0];
  CHECK(record.version == 1);
  CHECK(record.updates == 3);
  CHECK(record.train_loss == doctest::Approx(0.5));
  CHECK(record.totals.updates_accepted == 3);
  REQUIRE(fixture.neighbours.metrics->updates.size() == 3);
  CHECK(fixture.neighbours.metrics->updates[2].folded_into == 1);
  CHECK(fixture.storage->updates.size() == 3);
  CHECK_FALSE(fixture.neighbours.scheduler->publications.back()->anew);
  CHECK(fixture.neighbours.scheduler->publications.back()->next_task == 4);
}

TEST_CASE("a stale update weighs less, by the versions that were made since its base") {
  auto fixture = AggregatorFixture(async_options());
  fixture.submit(update_of(1, 0, 0));
  fixture.submit(update_of(2, 0, 1));
  const auto receipt = fixture.submit(update_of(3, 1, 0, 1.0f, 12));
  CHECK(receipt->staleness == 2);
  CHECK(receipt->weight == doctest::Approx(12 / std::sqrt(3.0)));
  CHECK(fixture.neighbours.metrics->versions.back().staleness_mean == 2);
}

TEST_CASE("the buffer needs no more clients than there are") {
  auto options = async_options();
  options.strategy.buffer_size = 3;
  auto fixture = AggregatorFixture(options);
  fixture.live(4);
  fixture.submit(update_of(1, 0, 0));
  fixture.submit(update_of(2, 1, 0));
  CHECK(fixture.version() == 0);
  fixture.live(2);  // two have vanished: those who are left have all answered
  CHECK(fixture.version() == 1);
  fixture.submit(update_of(3, 0, 1));
  CHECK(fixture.version() == 1);
  fixture.live(0);
  CHECK(fixture.version() == 2);
}

TEST_CASE("refusals are answers with a reason, counted, and settle nothing twice") {
  auto options = async_options();
  options.strategy.max_staleness = 1;
  auto fixture = AggregatorFixture(options);
  for (auto task = TaskId{1}; task <= 3; ++task) fixture.submit(update_of(task, 0, task - 1));
  CHECK(fixture.submit(update_of(4, 1, 1))->code == ec::too_stale);
  CHECK(fixture.submit(update_of(5, 1, 9))->code == ec::unknown_base);
  CHECK(fixture.submit(update_of(2, 0, 2))->code == ec::duplicate_update);
  CHECK(fixture.version() == 3);
  CHECK(fixture.neighbours.metrics->updates.size() == 6);
  CHECK(fixture.neighbours.metrics->updates[5].decision == ec::duplicate_update);
  CHECK(fixture.submit(update_of(6, 0, 3))->accepted());
}

TEST_CASE("max_versions and target_accuracy end the run once; then updates are refused") {
  auto options = async_options();
  options.goals.max_versions = 2;
  auto fixture = AggregatorFixture(options);
  fixture.submit(update_of(1, 0, 0));
  CHECK(fixture.neighbours.node->over.empty());
  fixture.submit(update_of(2, 0, 1));
  CHECK(fixture.neighbours.node->over == std::vector<std::string>{"run.max_versions = 2 reached"});
  CHECK(fixture.submit(update_of(3, 0, 2))->code == ec::run_over);
  CHECK(fixture.version() == 2);
  CHECK(fixture.neighbours.scheduler->publications.back()->model->version() == 1);  // no more work is given

  auto target = async_options();
  target.goals.target_accuracy = 0.9;
  auto other = AggregatorFixture(target);
  other.submit(update_of(1, 0, 0));
  other.time.tell(other.actor, Evaluation{1, 10, 0.1, 0.89});
  CHECK(other.neighbours.node->over.empty());
  other.time.tell(other.actor, Evaluation{1, 10, 0.1, 0.9});
  other.time.tell(other.actor, Evaluation{2, 10, 0.1, 0.95});
  CHECK(other.neighbours.node->over.size() == 1);
}

TEST_CASE("max_updates makes the open buffer the last version, full or not") {
  auto options = async_options();
  options.strategy.buffer_size = 4;
  options.goals.max_updates = 3;
  options.goals.max_versions = 0;
  auto fixture = AggregatorFixture(options);
  fixture.live(4);
  for (auto task = TaskId{1}; task <= 2; ++task)
    fixture.submit(update_of(task, static_cast<ClientId>(task), 0));
  CHECK(fixture.version() == 0);
  fixture.submit(update_of(3, 3, 0));
  CHECK(fixture.version() == 1);
  CHECK(fixture.neighbours.node->over.size() == 1);
  CHECK(fixture.neighbours.scheduler->wanted ==
        std::vector<std::uint64_t>{3, 0});  // it counts itself in between
}

TEST_CASE("max_seconds counts what was spent before a resume") {
  auto options = async_options();
  options.goals.max_seconds = Seconds(100);
  options.spent = [] { return Seconds(70); };
  auto fixture = AggregatorFixture(options);
  fixture.time.pass(std::chrono::seconds(29));
  CHECK(fixture.neighbours.node->over.empty());
  fixture.time.pass(std::chrono::seconds(1));
  CHECK(fixture.neighbours.node->over.size() == 1);
}

TEST_CASE("while the disk is busy decisions collect, and the next save takes them all") {
  auto options = async_options();
  options.snapshot_every = 2;
  auto fixture = AggregatorFixture(options, AggregatorFixture::Checkpointer::fake);
  CHECK(fixture.saves.size() == 1);
  for (auto task = TaskId{1}; task <= 5; ++task) fixture.submit(update_of(task, 0, task - 1));
  CHECK(fixture.version() == 5);
  CHECK(fixture.saves.size() == 1);
  fixture.answer_save();
  REQUIRE(fixture.saves.size() == 2);
  CHECK(fixture.saves[1]->batch.accepted.size() == 5);
  REQUIRE(fixture.saves[1]->snapshot);
  CHECK(fixture.saves[1]->snapshot->state.version == 5);
  CHECK(fixture.saves[1]->snapshot->next_task == 6);
  fixture.answer_save();
  CHECK(fixture.saves.size() == 2);
  fixture.submit(update_of(6, 0, 5));
  CHECK(fixture.saves[2]->snapshot);
  fixture.answer_save();
  fixture.submit(update_of(7, 0, 6));
  REQUIRE(fixture.saves.size() == 4);
  CHECK_FALSE(fixture.saves[3]->snapshot);  // its decisions only
}

TEST_CASE("nothing is saved before metrics has the version, and what metrics missed is told again") {
  auto fixture = AggregatorFixture(async_options());
  fixture.neighbours.metrics->silent = true;
  fixture.submit(update_of(1, 0, 0));
  fixture.submit(update_of(2, 0, 1));
  CHECK(fixture.storage->snapshots.size() == 1);

  auto log = std::make_shared<test::MetricsLog>();
  fixture.neighbours.peers.metrics = test::spawn_fake_metrics(fixture.time, log);
  fixture.wire();
  CHECK(log->restores == std::vector<std::pair<Version, bool>>{{0, false}});
  CHECK(log->begins == 1);
  REQUIRE(log->versions.size() == 2);
  CHECK(log->versions[0].version == 1);
  CHECK(log->versions[1].version == 2);
  CHECK(fixture.storage->snapshots.back().state.version == 2);
}

TEST_CASE("stop answers when everything is on disk, the open buffer included") {
  auto options = async_options();
  options.strategy.buffer_size = 2;
  options.snapshot_every = 0;
  auto fixture = AggregatorFixture(options);
  fixture.live(2);
  fixture.submit(update_of(1, 0, 0));
  const auto last = fixture.stop("enough");
  REQUIRE(last);
  CHECK((*last)->model->version() == 0);
  REQUIRE(fixture.storage->snapshots.size() == 1);
  CHECK(fixture.storage->snapshots[0].state.buffer.count == 1);
  CHECK(fixture.storage->updates.size() == 1);
  CHECK(fixture.submit(update_of(2, 1, 0))->code == ec::run_over);
}

TEST_CASE("a disk that refuses is an error of stop, and of no update") {
  auto fixture = AggregatorFixture(async_options());
  fixture.storage->refusal = Error{ec::io_failed, "disk full"};
  CHECK(fixture.submit(update_of(1, 0, 0))->accepted());
  const auto last = fixture.stop("enough");
  REQUIRE_FALSE(last);
  CHECK(last.error().code == ec::io_failed);
}
