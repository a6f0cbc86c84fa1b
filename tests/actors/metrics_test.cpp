#include "actors/metrics.hpp"

#include <doctest/doctest.h>

#include "tests/support/memory_storage.hpp"
#include "tests/support/virtual_time.hpp"

using namespace fl;

namespace {

struct Fixture {
  test::VirtualTime time;
  std::shared_ptr<test::MemoryStorage> storage = std::make_shared<test::MemoryStorage>();
  MetricsOptions options{{}, "fedavg_async"};
  metrics_actor actor;

  Fixture() { start(); }

  void start() { actor = time.spawn(metrics, options, RunStoragePtr(storage), std::make_shared<Chaos>()); }

  void version(Version number, std::uint64_t updates_accepted = 0) {
    auto record = VersionRecord();
    record.version = number;
    record.totals.updates_accepted = updates_accepted;
    CHECK(time.ask<Version>(actor, std::make_shared<const VersionRecord>(record)) == number);
  }
  void evaluated(Version number, double accuracy) {
    time.tell(actor, Evaluation{number, 10, 1 - accuracy, accuracy});
  }
  void skipped(Version first, Version last) { time.tell(actor, skip_atom_v, first, last); }
  void update(ec decision, std::uint64_t staleness = 0) {
    auto record = UpdateRecord();
    record.decision = decision;
    record.staleness = staleness;
    time.tell(actor, std::make_shared<const std::vector<UpdateRecord>>(1, record));
  }
  void roster(const std::string& waited_for, double waited_s) {
    options.board->show(Roster{2, 1, 1, waited_for, waited_s}, time.now());
  }
  RunStatus status() { return time.ask<RunStatus>(actor, status_atom_v).value(); }
  VersionRecordPtr stop() { return time.ask<VersionRecordPtr>(actor, stop_atom_v).value(); }
};

using Versions = std::vector<Version>;

}  // namespace

TEST_CASE("lines are written in the order of versions, each when its evaluation is known") {
  auto fixture = Fixture();
  for (auto number = Version{1}; number <= 4; ++number) fixture.version(number);
  CHECK(fixture.storage->versions.size() == 4);  // in the store at once
  CHECK(fixture.storage->lines.empty());
  fixture.evaluated(2, 0.5);
  CHECK(fixture.storage->lines.empty());
  fixture.skipped(1, 1);
  CHECK(fixture.storage->line_versions() == Versions{1, 2});
  CHECK_FALSE(fixture.storage->lines[0].evaluation);
  CHECK(fixture.storage->lines[1].evaluation->accuracy == 0.5);
  fixture.skipped(1, 4);
  CHECK(fixture.storage->line_versions() ==
        Versions{1, 2, 3});   // 4 may turn out to be the last, which is evaluated
  fixture.evaluated(2, 0.5);  // said again
  CHECK(fixture.storage->lines.size() == 3);
  fixture.evaluated(4, 0.75);
  CHECK(fixture.storage->line_versions() == Versions{1, 2, 3, 4});
}

TEST_CASE("an evaluation that overtakes its version waits for it") {
  auto fixture = Fixture();
  fixture.evaluated(1, 0.75);
  CHECK(fixture.storage->lines.empty());
  fixture.version(1);
  REQUIRE(fixture.storage->lines.size() == 1);
  CHECK(fixture.storage->lines[0].evaluation->accuracy == 0.75);
}

TEST_CASE("a skip that covers the version under evaluation does not take its place") {
  auto fixture = Fixture();
  fixture.version(1);
  fixture.evaluated(1, 0.75);
  fixture.skipped(1, 1);
  CHECK(fixture.storage->lines[0].evaluation);
}

TEST_CASE("counts go into each version and the status") {
  auto fixture = Fixture();
  fixture.time.tell(fixture.actor, begin_atom_v);
  fixture.update(ec::none, 2);
  fixture.update(ec::none, 5);
  fixture.update(ec::too_stale);
  fixture.update(ec::too_stale);
  fixture.update(ec::not_finite);
  fixture.options.board->add_up(100);
  fixture.options.board->add_up(1);
  fixture.options.board->add_down(30);
  fixture.time.tell(fixture.actor, restart_atom_v, std::string("client-1"));
  fixture.time.pass(std::chrono::seconds(4));
  fixture.version(1, 2);
  const auto& totals = fixture.storage->versions[0].totals;
  CHECK(totals.updates_accepted == 2);
  CHECK(totals.updates_rejected == std::map<std::string, std::uint64_t>{{"too_stale", 2}, {"not_finite", 1}});
  CHECK(totals.staleness_sum == 7);
  CHECK(totals.staleness_max == 5);
  CHECK(totals.bytes_up == 101);
  CHECK(totals.bytes_down == 30);
  CHECK(totals.restarts == 1);
  CHECK(totals.wall_seconds == doctest::Approx(4));
  CHECK(fixture.storage->versions[0].time_s == doctest::Approx(4));
  fixture.evaluated(1, 0.5);
  const auto status = fixture.status();
  CHECK(status.state == "training");
  CHECK(status.strategy == "fedavg_async");
  CHECK(status.version == 1);
  CHECK(status.max_versions == 10);
  CHECK(status.updates_accepted == 2);
  CHECK(status.updates_rejected == 3);
  CHECK(status.updates_per_s == doctest::Approx(0.5));
  CHECK(status.accuracy == 0.5);
  CHECK(status.best_accuracy == 0.5);
  CHECK(status.elapsed_s == doctest::Approx(4));
  CHECK(status.remaining_s == doctest::Approx(36));  // nine versions more at this speed
  CHECK(status.restarts == 1);
}

TEST_CASE("before the first lease no time passes and nothing is estimated") {
  auto fixture = Fixture();
  fixture.time.pass(std::chrono::seconds(100));
  const auto status = fixture.status();
  CHECK(status.state == "waiting for clients");
  CHECK(status.elapsed_s == 0);
  CHECK(status.remaining_s < 0);
  CHECK(status.accuracy < 0);
}

TEST_CASE("when nobody is here, the status says who is quarantined") {
  auto fixture = Fixture();
  fixture.storage->quarantine["ward-1"] = "not_finite: NaN";
  fixture.roster("client 0", 1);
  CHECK(fixture.status().waited_for == "client 0");
  fixture.options.board->show(Roster{0, 0, 0, "clients (0 of 1 are here)", 3}, fixture.time.now());
  CHECK(fixture.status().waited_for ==
        "clients (0 of 1 are here); 1 quarantined (fl_actor_node pardon lets one in again)");
}

TEST_CASE("the nearest goal decides the time that is left") {
  auto fixture = Fixture();
  fixture.options.goals = {100, 8, Seconds(1000), 0};
  fixture.start();
  fixture.time.tell(fixture.actor, begin_atom_v);
  fixture.time.pass(std::chrono::seconds(10));
  for (auto i = 0; i < 4; ++i) fixture.update(ec::none);
  fixture.version(1, 4);
  CHECK(fixture.status().remaining_s == doctest::Approx(10));  // four of eight updates
}

TEST_CASE("the rate of updates is that of the last seconds") {
  auto fixture = Fixture();
  fixture.time.tell(fixture.actor, begin_atom_v);
  for (auto i = 0; i < 20; ++i) {
    fixture.update(ec::none);
    fixture.time.pass(std::chrono::seconds(1));
  }
  CHECK(fixture.status().updates_per_s == doctest::Approx(1).epsilon(0.11));
  fixture.time.pass(std::chrono::seconds(30));
  CHECK(fixture.status().updates_per_s == 0);
}

TEST_CASE("who is waited for goes on being waited for") {
  auto fixture = Fixture();
  fixture.roster("client 3", 5);
  fixture.time.pass(std::chrono::seconds(7));
  const auto status = fixture.status();
  CHECK(status.clients_training == 2);
  CHECK(status.clients_waiting == 1);
  CHECK(status.clients_lost == 1);
  CHECK(status.waited_for == "client 3");
  CHECK(status.waited_s == doctest::Approx(12));
}

TEST_CASE("a model that goes back takes its versions with it, but not time and restarts") {
  auto fixture = Fixture();
  fixture.time.tell(fixture.actor, begin_atom_v);
  for (auto number = Version{1}; number <= 3; ++number) {
    fixture.time.pass(std::chrono::seconds(1));
    fixture.version(number, number);
    fixture.evaluated(number, 0.25 * static_cast<double>(number));
  }
  fixture.time.tell(fixture.actor, restart_atom_v, std::string("aggregator"));
  fixture.time.tell(fixture.actor, restore_atom_v, Version{1}, true);
  CHECK(fixture.storage->roll_backs.back() == 1);
  const auto status = fixture.status();
  CHECK(status.version == 1);
  CHECK(status.updates_accepted == 1);
  CHECK(status.best_accuracy == 0.25);
  CHECK(status.elapsed_s == doctest::Approx(3));
  CHECK(status.restarts == 1);
  fixture.version(2, 2);
  fixture.skipped(2, 2);
  fixture.stop();
  CHECK(fixture.storage->line_versions() == Versions{1, 2});
}

TEST_CASE("a new life goes on counting where the store ends") {
  auto fixture = Fixture();
  fixture.time.tell(fixture.actor, begin_atom_v);
  fixture.update(ec::none, 3);
  fixture.time.pass(std::chrono::seconds(5));
  fixture.version(1, 1);
  fixture.evaluated(1, 0.5);
  fixture.time.tell(fixture.actor, restart_atom_v, std::string("client-1"));  // after the last version
  fixture.time.end(fixture.actor, caf::exit_reason::kill);
  fixture.start();
  CHECK(fixture.status().restarts == 1);
  fixture.time.tell(fixture.actor, restore_atom_v, Version{1}, false);
  fixture.time.tell(fixture.actor, begin_atom_v);
  fixture.update(ec::none, 1);
  fixture.time.pass(std::chrono::seconds(2));
  fixture.version(2, 2);
  CHECK(fixture.storage->versions.back().totals.staleness_sum == 4);
  CHECK(fixture.storage->versions.back().time_s == doctest::Approx(7));
  CHECK(fixture.status().best_accuracy == 0.5);
  CHECK(fixture.status().remaining_s == doctest::Approx(16));  // one version in two seconds of this life
}

TEST_CASE("the end writes the lines that wait and stops the clock") {
  auto fixture = Fixture();
  fixture.time.tell(fixture.actor, begin_atom_v);
  fixture.version(1, 1);
  fixture.version(2, 2);
  fixture.time.pass(std::chrono::seconds(3));
  fixture.time.tell(fixture.actor, status_atom_v, std::string("stopping"));
  fixture.time.pass(std::chrono::seconds(3));
  CHECK(fixture.status().state == "stopping");
  CHECK(fixture.status().elapsed_s == doctest::Approx(3));
  fixture.evaluated(2, 0.75);
  const auto last = fixture.stop();
  CHECK(last->version == 2);
  CHECK(last->eval_accuracy == 0.75);
  CHECK(last->totals.wall_seconds == doctest::Approx(3));
  CHECK(fixture.storage->line_versions() == Versions{1, 2});
}
