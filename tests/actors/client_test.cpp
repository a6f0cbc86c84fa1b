// A client's work: ask, fetch, train, deliver.
#include "actors/client.hpp"

#include <doctest/doctest.h>

#include "tests/support/client_fixture.hpp"

using namespace fl;
using std::chrono::seconds;
using test::ClientFixture;

TEST_CASE("a client asks, fetches, trains, delivers and asks again") {
  auto fixture = ClientFixture();
  fixture.give_task(7);
  fixture.start();
  CHECK(fixture.server->hellos.at(0).name == "ward-2");
  CHECK(fixture.server->hellos.at(0).protocol_version == kProtocolVersion);
  CHECK(fixture.trainer->prepared == 1);
  REQUIRE(fixture.trainer->tasks.size() == 1);
  CHECK(fixture.trainer->tasks[0].id == 7);
  CHECK(fixture.trainer->bases[0]->values()[0] == 3);
  CHECK(fixture.tally()->state == "training from version 3");
  fixture.give_task(8, 4);
  fixture.time.pass(seconds(10));
  REQUIRE(fixture.server->submitted.size() == 1);
  CHECK(fixture.server->submitted[0].first == 7);
  REQUIRE(fixture.trainer->tasks.size() == 2);
  CHECK(fixture.trainer->bases[1]->values()[0] == 4);
  fixture.time.pass(seconds(10));
  CHECK(fixture.tally()->updates_accepted == 2);
  CHECK(fixture.tally()->last_version == 4);
  CHECK(fixture.server->fetches == 2);  // the third task is of a version that it has
}

TEST_CASE("a client that must wait asks when nudged, or when the time is over") {
  auto fixture = ClientFixture();
  fixture.give_nothing(60'000);
  fixture.start();
  CHECK(fixture.server->readies == 1);
  CHECK(fixture.tally()->state == "waiting for the next version");
  fixture.time.pass(seconds(59));
  CHECK(fixture.server->readies == 1);
  fixture.time.pass(seconds(1));
  CHECK(fixture.server->readies == 2);
  fixture.give_task(7);
  fixture.time.tell(fixture.actor, nudge_atom_v);
  CHECK(fixture.server->readies == 3);
  CHECK(fixture.trainer->tasks.size() == 1);
  fixture.time.tell(fixture.actor, nudge_atom_v);  // nothing to a client that works
  CHECK(fixture.server->readies == 3);
}

TEST_CASE("a revoked task is dropped and the trainer told") {
  auto fixture = ClientFixture();
  fixture.give_task(7);
  fixture.start();
  fixture.give_task(8);
  fixture.time.tell(fixture.actor, revoke_atom_v, TaskId{6}, std::string("not this one"));
  CHECK(fixture.trainer->tasks.size() == 1);
  fixture.time.tell(fixture.actor, revoke_atom_v, TaskId{7}, std::string("late"));
  CHECK(fixture.trainer->cancelled == std::vector<TaskId>{7});
  REQUIRE(fixture.trainer->tasks.size() == 2);
  CHECK(fixture.trainer->tasks[1].id == 8);
  fixture.give_nothing();
  fixture.time.pass(seconds(10));
  REQUIRE(fixture.server->submitted.size() == 1);
  CHECK(fixture.server->submitted[0].first == 8);
}

TEST_CASE("a refused update is counted by its reason and not sent again") {
  auto fixture = ClientFixture();
  fixture.give_task(7);
  fixture.start();
  fixture.server->decision = ec::too_stale;
  fixture.give_nothing();
  fixture.time.pass(seconds(10));
  CHECK(fixture.tally()->updates_rejected == std::map<std::string, std::uint64_t>{{"too_stale", 1}});
  CHECK(fixture.tally()->updates_accepted == 0);
  CHECK(fixture.server->submitted.size() == 1);
}

TEST_CASE("a training that fails is given up, one that cannot succeed ends the client") {
  auto fixture = ClientFixture();
  fixture.trainer->refusal = Error{ec::internal, "out of memory"};
  fixture.give_task(7);
  fixture.start();
  CHECK(fixture.server->abandoned ==
        std::vector<std::pair<TaskId, std::string>>{{7, "internal: out of memory"}});
  fixture.time.pass(seconds(60));
  CHECK(fixture.server->abandoned.size() >= 3);
  CHECK(fixture.server->abandoned.size() <= 15);  // ever more patiently
  // One that always fails ends the client, too.
  CHECK(fixture.server->abandoned.size() == 5);
  REQUIRE(fixture.node->failed.size() == 1);
  CHECK(fixture.node->failed[0].find("out of memory; 5 tasks in a row failed") != std::string::npos);

  auto cramped = ClientFixture();
  cramped.trainer->refusal = Error{ec::internal, "training failed: std::bad_alloc"};
  cramped.give_task(7);
  cramped.start();
  cramped.time.pass(seconds(60));
  REQUIRE(cramped.node->failed.size() == 1);
  CHECK(cramped.node->failed[0].find("train.batch_size") != std::string::npos);

  auto hopeless = ClientFixture();
  hopeless.trainer->refusal = Error{ec::bad_config, "unknown optimizer"};
  hopeless.give_task(7);
  hopeless.start();
  REQUIRE(hopeless.node->failed.size() == 1);
  CHECK(hopeless.node->failed[0] == "ward-2: bad_config: unknown optimizer");
}

TEST_CASE("a trainer that cannot be prepared ends the client") {
  auto fixture = ClientFixture();
  fixture.trainer->prepare_refusal = Error{ec::bad_data, "no files in data.dir"};
  fixture.start();
  REQUIRE(fixture.node->failed.size() == 1);
  CHECK(fixture.node->failed[0].find("no files in data.dir") != std::string::npos);
}

TEST_CASE("a new trainer trains the same task again") {
  auto fixture = ClientFixture();
  fixture.give_task(7);
  fixture.start();
  fixture.time.pass(seconds(5));
  fixture.time.end(fixture.peers.trainers[0], caf::exit_reason::kill);
  fixture.new_trainer();
  fixture.wire();
  CHECK(fixture.trainer->prepared == 2);
  REQUIRE(fixture.trainer->tasks.size() == 2);
  CHECK(fixture.trainer->tasks[1].id == 7);
  fixture.give_nothing();
  fixture.time.pass(seconds(10));
  CHECK(fixture.server->submitted.size() == 1);
}

TEST_CASE("a trainer that crashed while it prepared is replaced") {
  auto fixture = ClientFixture();
  fixture.trainer->prepare_silent = true;
  fixture.give_task(7);
  fixture.start();
  CHECK(fixture.trainer->tasks.empty());
  fixture.time.end(fixture.peers.trainers[0], caf::exit_reason::kill);
  fixture.trainer->prepare_silent = false;
  fixture.new_trainer();
  fixture.wire();
  CHECK(fixture.trainer->tasks.size() == 1);
}

TEST_CASE("a receipt that comes while the trainer is down does not end the client") {
  auto fixture = ClientFixture();
  fixture.give_task(7);
  fixture.start();
  fixture.trainer->prepare_silent = true;
  fixture.server->silent = true;
  fixture.time.pass(seconds(10));  // delivered, not decided
  fixture.new_trainer();
  fixture.wire();
  fixture.time.tell(fixture.actor, revoke_atom_v, TaskId{7}, std::string("late"));
  CHECK(fixture.tally()->tasks == 1);
  CHECK(fixture.server->readies == 1);
}

TEST_CASE("clients.dropout gives tasks up, the same ones for the same seed") {
  const auto given_up = [] {
    auto fixture = ClientFixture();
    fixture.options.dropout = 0.5;
    fixture.give_task(1);
    fixture.start();
    for (auto id = TaskId{2}; id <= 20; ++id) {
      fixture.give_task(id);
      fixture.time.pass(seconds(10));
    }
    auto ids = std::vector<TaskId>();
    for (const auto& [id, reason] : fixture.server->abandoned) ids.push_back(id);
    return ids;
  };
  const auto ids = given_up();
  CHECK(ids.size() > 4);
  CHECK(ids.size() < 15);
  CHECK(given_up() == ids);
}

TEST_CASE("the end: a client of this process ends, another tells its node") {
  auto fixture = ClientFixture();
  fixture.give_task(7);
  fixture.start();
  const auto end = fixture.time.end_of(fixture.actor);
  fixture.time.tell(fixture.actor, finish_atom_v, std::string("enough"));
  REQUIRE(end->has_value());
  CHECK_FALSE(**end);
  CHECK(fixture.trainer->cancelled == std::vector<TaskId>{7});

  auto remote = ClientFixture(false);
  remote.server->answer.kind = Assignment::Kind::finished;
  remote.server->answer.reason = "enough";
  remote.start();
  CHECK(remote.node->over == std::vector<std::string>{"enough"});
  CHECK(remote.tally()->finished == "enough");
  remote.time.tell(remote.actor, nudge_atom_v);
  remote.crash_session();
  remote.time.pass(std::chrono::minutes(5));
  CHECK(remote.server->hellos.size() == 1);
}

TEST_CASE("a crash on purpose happens at the nth task") {
  auto fixture = ClientFixture();
  fixture.chaos = Chaos::parse({"client-0@task=2"}).value();
  fixture.give_task(7);
  fixture.start();
  const auto end = fixture.time.end_of(fixture.actor);
  fixture.give_task(8);
  fixture.time.pass(seconds(10));
  REQUIRE(end->has_value());
  CHECK(from_caf(**end).text == "chaos: client-0@task=2");
}

TEST_CASE("however often a client is nudged, it asks no more often by itself") {
  auto fixture = ClientFixture();
  fixture.give_nothing(5'000);
  fixture.start();
  for (auto i = 0; i < 20; ++i) fixture.time.tell(fixture.actor, nudge_atom_v);
  const auto before = fixture.server->readies;
  fixture.time.pass(seconds(50));
  CHECK(fixture.server->readies - before <= 10);
  CHECK(fixture.server->readies - before >= 9);
}
