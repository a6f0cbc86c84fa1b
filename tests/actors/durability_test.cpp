// store.durability = "update": nothing is told before it is on disk, and what was told survives.
#include <doctest/doctest.h>

#include <numeric>

#include "tests/support/aggregator_fixture.hpp"
#include "tests/support/federation.hpp"

using namespace fl;
using test::AggregatorFixture;
using test::update_of;

namespace {

AggregatorOptions durable_options() {
  auto options = test::async_options();
  options.durable_updates = true;
  options.snapshot_every = 2;
  return options;
}

std::shared_ptr<test::MemoryStorage> durable_storage() {
  auto storage = std::make_shared<test::MemoryStorage>();
  storage->durable_updates = true;
  return storage;
}

}  // namespace

TEST_CASE(
    "a client is told, and a version published, when the commit is done; one commit takes all that waited") {
  auto fixture = AggregatorFixture(durable_options(), AggregatorFixture::Checkpointer::fake);
  fixture.answer_save();  // the snapshot of version 0
  const auto first = fixture.send(update_of(1, 0, 0));
  CHECK_FALSE(first->has_value());
  REQUIRE(fixture.saves.size() == 2);
  CHECK(fixture.saves[1]->batch.accepted.size() == 1);
  CHECK(fixture.saves[1]->batch.accepted[0].blob);
  CHECK(fixture.saves[1]->batch.closings.size() == 1);
  CHECK(fixture.version() == 0);

  const auto second = fixture.send(update_of(2, 1, 0));
  const auto third = fixture.send(update_of(3, 2, 0));
  CHECK(fixture.saves.size() == 2);
  fixture.answer_save();
  REQUIRE(first->has_value());
  CHECK((**first)->accepted());
  CHECK(fixture.version() == 1);
  CHECK_FALSE(second->has_value());
  REQUIRE(fixture.saves.size() == 3);
  CHECK(fixture.saves[2]->batch.accepted.size() == 2);
  fixture.answer_save();
  CHECK((**second)->accepted());
  CHECK((**third)->accepted());
  CHECK((**third)->staleness == 2);
  CHECK(fixture.version() == 3);
}

TEST_CASE("an update that is sent again is acknowledged again, after a restart too, and applied once") {
  auto fixture =
      AggregatorFixture(durable_options(), AggregatorFixture::Checkpointer::real, durable_storage());
  const auto receipt = fixture.submit(update_of(1, 0, 0, 1.0f));
  REQUIRE(receipt->accepted());
  const auto value = fixture.model_value();
  CHECK(fixture.submit(update_of(1, 0, 0, 1.0f))->accepted());
  CHECK(fixture.version() == 1);
  fixture.start();
  CHECK(fixture.version() == 1);
  const auto again = fixture.submit(update_of(1, 0, 0, 1.0f));
  CHECK(again->accepted());
  CHECK(again->weight == receipt->weight);
  CHECK(fixture.time.ask<Receipt>(fixture.actor, receipt_atom_v, ClientId{0}, TaskId{1})->accepted());
  CHECK(fixture.time.ask<Receipt>(fixture.actor, receipt_atom_v, ClientId{0}, TaskId{2})->code ==
        ec::unknown_lease);
  CHECK(fixture.model_value() == value);
  CHECK(fixture.storage->ledger.size() == 1);
}

TEST_CASE("a restart goes on from the last decision, not from the last snapshot") {
  auto options = durable_options();
  options.snapshot_every = 100;
  options.strategy.buffer_size = 2;
  auto fixture = AggregatorFixture(options, AggregatorFixture::Checkpointer::real, durable_storage());
  fixture.live(4);
  for (auto task = TaskId{1}; task <= 5; ++task)
    fixture.submit(
        update_of(task, static_cast<ClientId>(task % 4), (task - 1) / 2, 0.1f * static_cast<float>(task)));
  CHECK(fixture.version() == 2);
  const auto value = fixture.model_value();
  fixture.start();
  fixture.live(4);
  CHECK(fixture.version() == 2);
  CHECK(fixture.model_value() == value);
  fixture.submit(update_of(6, 2, 2, 0.5f));  // the fifth is still in the buffer
  CHECK(fixture.version() == 3);
}

TEST_CASE("while the disk is full updates are refused as such, and go on when there is room") {
  auto fixture =
      AggregatorFixture(durable_options(), AggregatorFixture::Checkpointer::real, durable_storage());
  fixture.storage->refusal = Error{ec::store_full, "no room"};
  const auto first = fixture.send(update_of(1, 0, 0));
  CHECK_FALSE(first->has_value());
  CHECK(fixture.submit(update_of(2, 1, 0))->code == ec::store_full);
  CHECK(fixture.version() == 0);
  fixture.storage->refusal.reset();
  fixture.time.pass(std::chrono::seconds(2));
  REQUIRE(first->has_value());
  CHECK((**first)->accepted());
  CHECK(fixture.version() == 1);
  CHECK(fixture.submit(update_of(2, 1, 0))->accepted());
  CHECK(fixture.storage->ledger.size() == 2);
}

TEST_CASE("a stop without room ends with the version that is on disk; a goal is not reached without it") {
  for (const auto max_versions : {0, 2}) {
    CAPTURE(max_versions);
    auto options = durable_options();
    options.goals.max_versions = static_cast<Version>(max_versions);
    auto fixture = AggregatorFixture(options, AggregatorFixture::Checkpointer::real, durable_storage());
    CHECK(fixture.submit(update_of(1, 0, 0))->accepted());
    fixture.storage->refusal = Error{ec::store_full, "no room"};
    const auto unsaved = fixture.send(update_of(2, 1, 1));
    const auto last = fixture.stop("enough");
    CHECK_FALSE(unsaved->has_value());
    if (max_versions == 0) {
      REQUIRE(last);
      CHECK((*last)->model->version() == 1);
    } else {
      CHECK(last.error().code == ec::store_full);
    }
  }
}

TEST_CASE("whatever crashes, the model is what the ledger gives, and all that was accepted is in it") {
  for (const auto name : {StrategyName::fedavg, StrategyName::fedavg_async, StrategyName::fedbuff,
                          StrategyName::fedasync, StrategyName::fedasync_delta}) {
    for (const auto* crash :
         {"", "aggregator@version=3", "scheduler@lease=5", "checkpointer@snapshot=3", "session-1@update=2",
          "client-2@task=3", "trainer-0@task=2", "metrics@version=4", "gateway@hello=3"}) {
      CAPTURE(to_string(name));
      CAPTURE(crash);
      auto options = test::FederationOptions();
      options.strategy.name = name;
      options.strategy.buffer_size = 2;
      options.goals.max_versions = 12;
      options.speeds = {1, 1.5, 2, 3};
      options.durable_updates = true;
      if (*crash != 0) options.chaos = {crash};
      auto federation = test::Federation(options);
      REQUIRE(federation.run());
      CHECK(federation.version == 12);
      CHECK(test::same_values(*federation.model, *federation.replayed()));
      CHECK(federation.storage->ledger.size() == federation.updates);
      auto all = std::vector<Version>(12);
      std::iota(all.begin(), all.end(), Version{1});
      CHECK(federation.storage->line_versions() == all);
      auto tasks = std::set<std::pair<ClientId, TaskId>>();
      for (const auto& update : federation.storage->ledger)
        CHECK(tasks.emplace(update.record.client, update.record.task).second);
    }
  }
}
