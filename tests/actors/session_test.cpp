// A session between one client and the rest of the server.
#include <doctest/doctest.h>

#include "tests/support/session_fixture.hpp"

using namespace fl;
using test::SessionFixture;

TEST_CASE("a session joins, passes on work and what there is to say") {
  auto fixture = SessionFixture();
  REQUIRE(fixture.neighbours.scheduler->joins.size() == 1);
  CHECK(fixture.neighbours.scheduler->joins[0].client == 2);
  CHECK_FALSE(fixture.neighbours.scheduler->joins[0].lease);
  CHECK(fixture.begin().id == 7);
  REQUIRE(fixture.storage->client_records.size() == 1);
  CHECK(fixture.storage->client_records[0].name == "ward-2");
  CHECK(fixture.storage->client_records[0].label_histogram == std::vector<std::uint64_t>{4, 6});
  fixture.time.tell(fixture.actor, nudge_atom_v);
  fixture.time.tell(fixture.actor, revoke_atom_v, TaskId{7}, std::string("late"));
  fixture.time.tell(fixture.actor, finish_atom_v, std::string("enough"));
  CHECK(fixture.client_log->nudges == 1);
  CHECK(fixture.client_log->revoked == std::vector<TaskId>{7});
  CHECK(fixture.client_log->finished == std::vector<std::string>{"enough"});
}

TEST_CASE("clients of the same process share the model and the update") {
  auto fixture = SessionFixture();
  const auto task = fixture.begin();
  CHECK(task.model_hash == 0);
  const auto model = fixture.time.ask<PublishedModelPtr>(fixture.actor, fetch_atom_v, task.id);
  REQUIRE(model);
  CHECK((*model)->version() == 3);
  CHECK(fixture.board->down() == (*model)->size());
  const auto blob = test::blob_for(task);
  CHECK(fixture.submit(task, blob)->accepted());
  CHECK(fixture.neighbours.aggregator->submitted[0]->payload.source == blob);
  CHECK(fixture.time.ask<PublishedModelPtr>(fixture.actor, fetch_atom_v, task.id).error().code ==
        ec::unknown_lease);
}

TEST_CASE("an update for a task that is not leased is refused and costs nothing") {
  auto fixture = SessionFixture();
  auto task = fixture.begin();
  task.id = 8;
  CHECK(fixture.submit(task, test::blob_for(task))->code == ec::unknown_lease);
  CHECK(fixture.neighbours.scheduler->lost.empty());
  CHECK(fixture.neighbours.aggregator->submitted.empty());
}

TEST_CASE("what the update says of itself must fit what the client declared") {
  auto fixture = SessionFixture();
  const auto task = fixture.begin();
  auto info = UpdateInfo();
  info.task = task.id;
  info.epoch = task.epoch;
  info.client = task.client;
  info.base = task.base;
  info.samples = 11;
  auto blob = make_update_blob(info, *test::small_layout(), false);
  std::ranges::fill(blob.values(), 1.0f);
  const auto receipt = fixture.submit(task, std::make_shared<const MemorySource>(std::move(blob.buffer)));
  CHECK(receipt->code == ec::bad_claim);
  CHECK(fixture.neighbours.scheduler->lost.size() == 1);
}

TEST_CASE("the aggregator's refusal settles the lease and reaches the client") {
  auto fixture = SessionFixture();
  fixture.neighbours.aggregator->decision = ec::too_stale;
  const auto task = fixture.begin();
  CHECK(fixture.submit(task, test::blob_for(task))->code == ec::too_stale);
  CHECK(fixture.neighbours.scheduler->settled == std::vector<std::pair<ClientId, TaskId>>{{2, 7}});
}

TEST_CASE("an update that the aggregator took with it when it crashed is handed to the next") {
  auto fixture = SessionFixture();
  const auto task = fixture.begin();
  fixture.neighbours.aggregator->silent = true;
  const auto receipt = fixture.send(task, test::blob_for(task));
  CHECK_FALSE(receipt->has_value());
  fixture.time.end(fixture.neighbours.peers.aggregator, caf::exit_reason::kill);
  CHECK_FALSE(receipt->has_value());
  const auto next = std::make_shared<test::AggregatorLog>();
  fixture.neighbours.peers.aggregator = test::spawn_fake_aggregator(fixture.time, next);
  fixture.wire();
  REQUIRE(receipt->has_value());
  CHECK((**receipt)->accepted());
  CHECK(next->submitted.size() == 1);
  fixture.wire();
  CHECK(next->submitted.size() == 1);  // decided, so not again
}

TEST_CASE("a decision on an update that was given up does not touch the next one") {
  auto fixture = SessionFixture();
  const auto first = fixture.begin();
  fixture.neighbours.aggregator->silent = true;
  const auto old = fixture.send(first, test::blob_for(first));
  fixture.time.tell(fixture.actor, revoke_atom_v, first.id, std::string("anew"));
  const auto second = fixture.begin(test::lease_of(9, 2, 4));
  fixture.neighbours.aggregator->silent = false;
  CHECK(fixture.submit(second, test::blob_for(second))->accepted());
  REQUIRE(old->has_value());
  CHECK((*old)->error().code == ec::cancelled);
  CHECK(fixture.neighbours.scheduler->settled.empty());  // the aggregator told it
}

TEST_CASE("a new scheduler is told of the session and of its lease, and asked again") {
  auto fixture = SessionFixture();
  fixture.begin();
  fixture.neighbours.scheduler->silent = true;
  const auto assignment = fixture.send({10, 5, {}});
  const auto next = std::make_shared<test::SchedulerLog>();
  next->answer = test::lease_of(8, 2, 3);
  fixture.neighbours.peers.scheduler = test::spawn_fake_scheduler(fixture.time, next);
  fixture.wire();
  REQUIRE(next->joins.size() == 1);
  CHECK(next->joins[0].lease->assignment.task.id == 7);
  REQUIRE(assignment->has_value());
  CHECK((**assignment)->task.id == 8);
}

TEST_CASE("while the scheduler is down clients are told to ask again soon") {
  auto fixture = SessionFixture();
  fixture.time.end(fixture.neighbours.peers.scheduler, caf::exit_reason::kill);
  const auto assignment = fixture.say({10, 5, {}});
  REQUIRE(assignment);
  CHECK(assignment->kind == Assignment::Kind::wait);
  CHECK(assignment->retry_after_ms > 0);
}

TEST_CASE("a client that asks twice gets the second answer") {
  auto fixture = SessionFixture();
  fixture.neighbours.scheduler->silent = true;
  const auto first = fixture.send({10, 5, {}});
  fixture.neighbours.scheduler->silent = false;
  CHECK(fixture.begin().id == 7);
  REQUIRE(first->has_value());
  CHECK((*first)->error().code == ec::cancelled);
}

TEST_CASE("a task that is given up is lost at once") {
  auto fixture = SessionFixture();
  const auto task = fixture.begin();
  fixture.time.tell(fixture.actor, abandon_atom_v, TaskId{99}, std::string("not mine"));
  CHECK(fixture.neighbours.scheduler->lost.empty());
  fixture.time.tell(fixture.actor, abandon_atom_v, task.id, std::string("no power"));
  CHECK(fixture.neighbours.scheduler->lost == std::vector<std::pair<TaskId, std::string>>{{7, "no power"}});
  CHECK(fixture.submit(task, test::blob_for(task))->code == ec::unknown_lease);
}

TEST_CASE("an answer that only evaluates goes to the evaluator, not to the aggregator") {
  auto fixture = SessionFixture();
  fixture.options.evaluate_on_clients = true;
  fixture.start();
  const auto task = fixture.begin(test::lease_of(7, 2, 3, TaskKind::evaluate));
  auto info = UpdateInfo();
  info.task = task.id;
  info.epoch = task.epoch;
  info.client = task.client;
  info.base = task.base;
  info.base_evaluation = {3, 5, 0.5, 0.75};
  auto blob = make_evaluation_blob(info, *test::small_layout());
  CHECK(fixture.submit(task, std::make_shared<const MemorySource>(std::move(blob.buffer)))->accepted());
  REQUIRE(fixture.neighbours.evaluator->answers.size() == 1);
  CHECK(fixture.neighbours.evaluator->answers[0].first.accuracy == 0.75);
  CHECK(fixture.neighbours.evaluator->answers[0].second == 2);
  CHECK(fixture.neighbours.aggregator->submitted.empty());
  CHECK(fixture.neighbours.scheduler->settled.size() == 1);
}

TEST_CASE("a session ends with its client or with the gateway") {
  for (const auto gateway_first : {false, true}) {
    auto fixture = SessionFixture();
    const auto end = fixture.time.end_of(fixture.actor);
    if (gateway_first)
      fixture.time.end(fixture.gateway);
    else
      fixture.time.end(fixture.client, caf::exit_reason::kill);
    REQUIRE(end->has_value());
    CHECK_FALSE(**end);
  }
}

TEST_CASE("no client works before enough have said how their inputs are distributed") {
  auto fixture = SessionFixture();
  auto saved = Standardisation();
  fixture.options.survey =
      std::make_shared<Survey>(std::vector{true}, 2, Standardisation(), [&](const Standardisation& how) {
        saved = how;
        return Result<void>();
      });
  fixture.start();
  auto ready = Ready{10, 0, {4, 6}};
  ready.moments = {10, 2, 10};
  fixture.neighbours.scheduler->answer = test::lease_of(7, 2, 3);
  const auto waits = fixture.say(ready);
  REQUIRE(waits);
  CHECK(waits->kind == Assignment::Kind::wait);
  CHECK(waits->reason.find("1 of 2 clients") != std::string::npos);
  REQUIRE(fixture.options.survey->note(5, 10, {10, 4, 10}));
  const auto given = fixture.say(ready);
  REQUIRE(given);
  CHECK(given->kind == Assignment::Kind::task);
  CHECK(given->task.standardisation == saved);
  CHECK(saved[0] == 3);
  ready.moments = {1, 2};
  CHECK(fixture.say(ready).error().code == ec::bad_claim);
}
