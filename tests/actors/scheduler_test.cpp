// The scheduler round the lease book: who is told what, and when.
#include "actors/scheduler.hpp"

#include <doctest/doctest.h>

#include <map>

#include "tests/support/fake_neighbours.hpp"
#include "tests/support/lease_book_fixture.hpp"

using namespace fl;

namespace {

/// What a session was told.
struct SessionLog {
  int nudges = 0;
  std::vector<TaskId> revoked;
  std::vector<std::string> finished;
};

local_session_actor::behavior_type fake_session(local_session_actor::pointer,
                                                std::shared_ptr<SessionLog> log) {
  return {
      [](const Ready&) { return Assignment(); },
      [](fetch_atom, TaskId, std::uint64_t, std::uint32_t) { return Chunk(); },
      [](const UploadOffer&) { return std::uint64_t{0}; },
      [](const Chunk&) { return std::uint64_t{0}; },
      [](commit_atom, TaskId) { return Receipt(); },
      [](abandon_atom, TaskId, const std::string&) {},
      [](fetch_atom, TaskId) { return PublishedModelPtr(); },
      [](submit_atom, TaskId, Epoch, const ByteSourcePtr&) { return Receipt(); },
      [log](nudge_atom) { ++log->nudges; },
      [log](revoke_atom, TaskId task, const std::string&) { log->revoked.push_back(task); },
      [log](finish_atom, const std::string& reason) { log->finished.push_back(reason); },
      [](wire_atom, const PeersPtr&) {},
  };
}

struct Fixture {
  test::VirtualTime time;
  test::Neighbours neighbours{time};
  SchedulerOptions options;
  RunBoardPtr board = std::make_shared<RunBoard>();
  Epoch epoch = 0;
  ChaosPtr chaos = std::make_shared<Chaos>();
  scheduler_actor actor;
  std::map<ClientId, local_session_actor> sessions;
  std::map<ClientId, std::shared_ptr<SessionLog>> logs;

  explicit Fixture(bool synchronous, std::uint32_t clients = 2) {
    options.synchronous = synchronous;
    options.clients_count = clients;
    start();
  }

  void start() {
    actor = time.spawn(scheduler, options, SchedulerMemory{[this] { return ++epoch; }, {}, {}, board}, chaos);
    wire();
  }
  void wire() { time.tell(actor, wire_atom_v, neighbours.handles()); }

  void join(ClientId client, LeasePtr lease = nullptr) {
    logs[client] = std::make_shared<SessionLog>();
    sessions[client] = time.spawn(fake_session, logs[client]);
    time.tell(actor, join_atom_v, client, caf::actor_cast<caf::actor>(sessions[client]), lease);
  }
  void leave(ClientId client) { time.end(sessions[client]); }
  void publish(Version version, bool anew = false) {
    time.tell(actor, publish_atom_v,
              std::make_shared<const Publication>(Publication{test::model_of(version), 0, 1, anew}));
  }
  LeasePtr lease(ClientId client) {
    return time.ask<LeasePtr>(actor, lease_atom_v, client, Ready{10, 5, {}}).value_or(nullptr);
  }
  TaskId task(ClientId client) { return lease(client)->assignment.task.id; }
  Roster roster() { return board->roster(time.now()); }
};

}  // namespace

TEST_CASE("live clients are reported, and the first lease begins the run") {
  auto fixture = Fixture(false);
  fixture.publish(0, true);
  fixture.join(0);
  fixture.join(1);
  CHECK(fixture.neighbours.aggregator->live == std::vector<std::uint32_t>{1, 2});
  CHECK(fixture.neighbours.evaluator->live == std::vector<std::uint32_t>{1, 2});
  CHECK(fixture.neighbours.metrics->begins == 0);
  fixture.lease(0);
  fixture.lease(1);
  CHECK(fixture.neighbours.metrics->begins == 1);
  CHECK(fixture.roster().training == 2);
  CHECK(fixture.roster().waited_for == "client 0");
}

TEST_CASE("a session that ends starts the client's rejoin, at whose end the lease is void") {
  auto fixture = Fixture(false);
  fixture.publish(0, true);
  fixture.join(0);
  fixture.join(1);
  const auto task = fixture.task(0);
  fixture.leave(0);
  CHECK(fixture.neighbours.aggregator->live.back() == 2);
  fixture.time.pass(std::chrono::seconds(14));
  CHECK(fixture.neighbours.aggregator->live.back() == 2);
  CHECK(fixture.roster().training == 1);
  fixture.time.pass(std::chrono::seconds(2));
  CHECK(fixture.neighbours.aggregator->live.back() == 1);
  CHECK(fixture.roster().lost == 1);
  fixture.join(0);
  CHECK(fixture.task(0) > task);
}

TEST_CASE("the end of a session that a newer one replaced means nothing") {
  auto fixture = Fixture(false);
  fixture.publish(0, true);
  fixture.join(0);
  const auto old = fixture.sessions[0];
  fixture.join(0);
  fixture.time.end(old);
  fixture.time.pass(std::chrono::minutes(1));
  CHECK(fixture.neighbours.aggregator->live == std::vector<std::uint32_t>{1});
}

TEST_CASE("a cohort is opened, its clients are nudged, and a lost task is told") {
  auto fixture = Fixture(true);
  fixture.publish(0, true);
  fixture.join(0);
  fixture.join(1);
  REQUIRE(fixture.neighbours.aggregator->cohorts.size() == 1);
  CHECK(fixture.neighbours.aggregator->cohorts[0].tasks == std::vector<TaskId>{1, 2});
  CHECK(fixture.logs[0]->nudges == 1);
  CHECK(fixture.logs[1]->nudges == 1);
  fixture.time.tell(fixture.actor, lost_atom_v, ClientId{1}, fixture.task(1), std::string("given up"));
  CHECK(fixture.neighbours.aggregator->lost == std::vector<TaskId>{2});
  CHECK(fixture.logs[1]->revoked == std::vector<TaskId>{2});
}

TEST_CASE("leases run out in time, one after the other") {
  auto fixture = Fixture(false, 3);
  fixture.options.task_timeout = Seconds(10);
  fixture.start();
  fixture.publish(0, true);
  auto tasks = std::vector<TaskId>();
  for (const auto client : {0u, 1u, 2u}) {
    fixture.join(client);
    tasks.push_back(fixture.task(client));
    fixture.time.pass(std::chrono::seconds(2));
  }
  fixture.time.tell(fixture.actor, settle_atom_v, ClientId{1}, tasks[1]);
  fixture.time.pass(std::chrono::milliseconds(3900));
  CHECK(fixture.logs[0]->revoked.empty());
  fixture.time.pass(std::chrono::milliseconds(200));
  CHECK(fixture.logs[0]->revoked == std::vector<TaskId>{tasks[0]});
  fixture.time.pass(std::chrono::seconds(10));
  CHECK(fixture.logs[1]->revoked.empty());
  CHECK(fixture.logs[2]->revoked == std::vector<TaskId>{tasks[2]});
}

TEST_CASE("whoever was restarted learns how many clients there are") {
  auto fixture = Fixture(false);
  fixture.publish(0, true);
  fixture.join(0);
  fixture.join(1);
  auto log = std::make_shared<test::AggregatorLog>();
  fixture.neighbours.peers.aggregator = test::spawn_fake_aggregator(fixture.time, log);
  fixture.wire();
  CHECK(log->live == std::vector<std::uint32_t>{2});
}

TEST_CASE("a model that goes back gets a new epoch and its void leases are revoked") {
  auto fixture = Fixture(false);
  fixture.publish(0, true);
  fixture.publish(1);
  fixture.join(0);
  const auto before = fixture.lease(0)->assignment.task;
  fixture.publish(0, true);
  CHECK(fixture.logs[0]->revoked == std::vector<TaskId>{before.id});
  const auto after = fixture.lease(0)->assignment.task;
  CHECK(after.epoch > before.epoch);
  CHECK(after.base == 0);
}

TEST_CASE("a scheduler that crashed over a lease takes up the leases of its sessions") {
  auto fixture = Fixture(false);
  fixture.chaos = Chaos::parse({"scheduler@lease=2"}).value();
  fixture.start();
  fixture.publish(0, true);
  fixture.join(0);
  const auto held = fixture.lease(0);
  fixture.join(1);
  const auto end = fixture.time.end_of(fixture.actor);
  CHECK(fixture.lease(1) == nullptr);
  CHECK(end->has_value());

  fixture.start();
  fixture.join(0, held);
  fixture.join(1);
  fixture.publish(0);
  CHECK(fixture.lease(0) == held);
  CHECK(fixture.task(1) > held->assignment.task.id);
  // It hears of sessions that it did not see begin.
  fixture.leave(0);
  fixture.time.pass(std::chrono::seconds(20));
  CHECK(fixture.neighbours.aggregator->live.back() == 1);
}

TEST_CASE("the end: clients evaluate the last version, then hear that the run is over") {
  auto fixture = Fixture(false);
  fixture.publish(0, true);
  fixture.join(0);
  fixture.join(1);
  const auto open = fixture.task(0);
  fixture.lease(1);
  const auto last = std::make_shared<const Publication>(Publication{test::model_of(3), 0, 1, false});
  CHECK(fixture.time.ask<std::uint32_t>(fixture.actor, finish_atom_v, std::string("enough"),
                                        PublicationPtr(last)) == 2u);
  CHECK(fixture.logs[0]->revoked == std::vector<TaskId>{open});
  CHECK(fixture.logs[0]->nudges >= 1);
  CHECK(fixture.lease(0)->assignment.task.kind == TaskKind::evaluate);
  CHECK(fixture.time.ask<std::uint32_t>(fixture.actor, finish_atom_v, std::string("enough"),
                                        PublicationPtr()) == 0u);
  CHECK(fixture.logs[0]->finished == std::vector<std::string>{"enough"});
  CHECK(fixture.logs[1]->finished == std::vector<std::string>{"enough"});
}
