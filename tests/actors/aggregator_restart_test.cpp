// The aggregator crashes, comes back, and its neighbours do.
#include <doctest/doctest.h>

#include "tests/support/aggregator_fixture.hpp"

using namespace fl;
using test::AggregatorFixture;
using test::async_options;
using test::update_of;

TEST_CASE("a restored aggregator goes on from the snapshot with the same numbers") {
  auto options = async_options();
  options.strategy.buffer_size = 2;
  auto restored = std::vector<Version>();
  options.on_restored = [&](Version version) { restored.push_back(version); };
  auto fixture = AggregatorFixture(options);
  fixture.live(2);
  fixture.submit(update_of(1, 0, 0, 2.0f));
  fixture.submit(update_of(2, 1, 0, 4.0f));
  CHECK(fixture.version() == 1);
  fixture.submit(update_of(3, 0, 1, 9.0f));  // folded, not in the snapshot
  CHECK(restored.empty());

  fixture.time.end(fixture.actor, caf::exit_reason::kill);
  fixture.start();
  CHECK(restored == std::vector<Version>{1});
  const auto& again = *fixture.neighbours.scheduler->publications.back();
  CHECK(again.anew);
  CHECK(again.next_task == 3);
  CHECK(again.updates_accepted == 2);
  CHECK(fixture.model_value() == doctest::Approx(3));
  CHECK(fixture.neighbours.metrics->restores.back() == std::pair<Version, bool>{1, true});
  fixture.live(2);
  CHECK(fixture.submit(update_of(3, 0, 1, 1.0f))->accepted());
  CHECK(fixture.submit(update_of(4, 1, 1, 1.0f))->accepted());
  CHECK(fixture.version() == 2);
  CHECK(fixture.model_value() == doctest::Approx(4));
}

TEST_CASE("an open buffer in the snapshot goes on being filled") {
  auto options = async_options();
  options.strategy.buffer_size = 2;
  auto fixture = AggregatorFixture(options);
  fixture.live(2);
  fixture.submit(update_of(1, 0, 0, 2.0f));
  REQUIRE(fixture.stop("pause"));
  fixture.time.end(fixture.actor);
  fixture.start();
  fixture.live(2);
  CHECK(fixture.submit(update_of(2, 1, 0, 4.0f))->accepted());
  CHECK(fixture.version() == 1);
  CHECK(fixture.model_value() == doctest::Approx(3));
}

TEST_CASE("an update that comes before the model is restored waits") {
  auto fixture = AggregatorFixture(async_options());
  fixture.time.end(fixture.actor, caf::exit_reason::kill);
  fixture.spawn();
  const auto receipt = fixture.send(update_of(1, 0, 0));
  CHECK_FALSE(receipt->has_value());
  fixture.wire();
  REQUIRE(receipt->has_value());
  CHECK((**receipt)->accepted());
  CHECK(fixture.version() == 1);
}

TEST_CASE("a crash on purpose happens before the version is made, once") {
  auto options = async_options();
  auto fixture = AggregatorFixture(options);
  fixture.chaos = Chaos::parse({"aggregator@version=2"}).value();
  fixture.time.end(fixture.actor, caf::exit_reason::kill);
  fixture.start();
  const auto end = fixture.time.end_of(fixture.actor);
  fixture.submit(update_of(1, 0, 0));
  CHECK_FALSE(end->has_value());
  CHECK_FALSE(fixture.submit(update_of(2, 0, 1)));
  REQUIRE(end->has_value());
  CHECK(from_caf(**end).text == "chaos: aggregator@version=2");
  fixture.start();
  CHECK(fixture.submit(update_of(2, 0, 1))->accepted());
  CHECK(fixture.version() == 2);
}

TEST_CASE("a snapshot of another model ends the run with a reason") {
  auto storage = std::make_shared<test::MemoryStorage>();
  auto state = AggregationState();
  auto other = std::make_shared<Layout>();
  other->add("weight", {4});
  state.model = std::make_shared<const Parameters>(Parameters::zeros(other));
  state.version = 3;
  state.buffer.count = 2;  // but no sum
  storage->snapshots.push_back({std::move(state), 5});
  auto fixture = AggregatorFixture(async_options(), AggregatorFixture::Checkpointer::real, storage);
  CHECK(fixture.neighbours.node->over.empty());
  CHECK(fixture.neighbours.node->failed.size() == 1);
}

TEST_CASE("a run folder that cannot be read fails the run") {
  auto storage = std::make_shared<test::MemoryStorage>();
  storage->refusal = Error{ec::io_failed, "no such disk"};
  auto fixture = AggregatorFixture(async_options(), AggregatorFixture::Checkpointer::real, storage);
  REQUIRE(fixture.neighbours.node->failed.size() == 1);
  CHECK(fixture.neighbours.node->failed[0].find("no such disk") != std::string::npos);
}

TEST_CASE("a checkpointer that crashed over a save is asked again when it is back") {
  auto fixture = AggregatorFixture(async_options());
  const auto crashing = Chaos::parse({"checkpointer@snapshot=1"}).value();
  const auto spawn_checkpointer = [&] {
    fixture.spawn_checkpointer(crashing);
    fixture.wire();
  };
  spawn_checkpointer();
  fixture.submit(update_of(1, 0, 0));
  fixture.submit(update_of(2, 0, 1));
  CHECK(fixture.storage->snapshots.size() == 1);  // of version 0
  const auto last = fixture.begin_stop("enough");
  CHECK_FALSE(last->has_value());
  spawn_checkpointer();
  REQUIRE(last->has_value());
  CHECK((**last).has_value());
  CHECK(fixture.storage->snapshots.back().state.version == 2);
  CHECK(fixture.storage->updates.size() >= 2);
}

TEST_CASE("new neighbours are told the current version; others take it as no news") {
  auto fixture = AggregatorFixture(async_options());
  fixture.submit(update_of(1, 0, 0));
  fixture.wire();
  CHECK(fixture.version() == 1);
  CHECK_FALSE(fixture.neighbours.scheduler->publications.back()->anew);
  CHECK(fixture.neighbours.metrics->versions.size() == 1);
  CHECK(fixture.neighbours.metrics->restores.size() == 1);
}

TEST_CASE("work that a replica did is not done twice, also not after a restart") {
  const auto backup_of = [](TaskId task, ClientId client, TaskId work, ClientId owner) {
    auto update = ValidUpdate(*update_of(task, client, 0));
    update.owner = owner;
    update.work = work;
    return std::make_shared<const ValidUpdate>(update);
  };
  auto options = test::async_options();
  options.strategy.buffer_size = 10;
  options.durable_updates = true;
  auto storage = std::make_shared<test::MemoryStorage>();
  storage->durable_updates = true;
  auto fixture = AggregatorFixture(options, AggregatorFixture::Checkpointer::real, storage);
  fixture.live(10);
  CHECK(fixture.submit(backup_of(9, 5, 3, 1))->accepted());
  const auto again = fixture.submit(backup_of(9, 5, 3, 1));
  CHECK(again->accepted());  // the same answer once more: acknowledged, not applied
  CHECK(fixture.submit(update_of(3, 1, 0))->code == ec::duplicate_update);
  fixture.time.end(fixture.actor, caf::exit_reason::kill);
  fixture.start();
  fixture.live(10);
  CHECK(fixture.submit(update_of(3, 1, 0))->code == ec::duplicate_update);
  CHECK(fixture.submit(backup_of(9, 5, 3, 1))->accepted());
  CHECK(fixture.submit(update_of(12, 1, 0))->accepted());
  CHECK(fixture.submit(backup_of(13, 5, 12, 1))->code == ec::duplicate_update);
  CHECK(storage->ledger.size() == 2);
}
