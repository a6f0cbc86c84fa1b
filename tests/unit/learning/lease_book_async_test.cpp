// The lease book with asynchronous strategies: nobody waits for anybody.
#include <doctest/doctest.h>

#include "tests/support/lease_book_fixture.hpp"

using namespace fl;
using test::BookOnClock;

namespace {

SchedulerOptions four_clients() {
  auto options = SchedulerOptions();
  options.clients_count = 4;
  options.task_timeout = Seconds(100);
  options.training.batch_size = 7;
  return options;
}

}  // namespace

TEST_CASE("a client gets a lease of the current version at once") {
  auto book = BookOnClock(four_clients());
  book.begin(6);
  CHECK(book.join(2).live == 1u);
  const auto lease = book.lease(2);
  REQUIRE(lease->assignment.kind == Assignment::Kind::task);
  const auto& task = lease->assignment.task;
  CHECK(task.id == 1);
  CHECK(task.epoch == 1);
  CHECK(task.client == 2);
  CHECK(task.base == 6);
  CHECK(task.kind == TaskKind::train);
  CHECK_FALSE(task.evaluate_base);
  CHECK(task.deadline_seconds == 100);
  CHECK(task.model_bytes == lease->model->size());
  CHECK(task.training.batch_size == 7);
  CHECK(book.book.take_effects().first_lease);

  book.join(0);
  CHECK(book.task(0).id == 2);
  CHECK_FALSE(book.book.take_effects().first_lease);
  book.settle(2, 1);
  CHECK(book.task(2).id == 3);
}

TEST_CASE("before there is a model clients wait, and are told when it comes") {
  auto book = BookOnClock(four_clients());
  book.join(1);
  CHECK(book.lease(1)->assignment.retry_after_ms == 5000);
  CHECK(book.reason_to_wait(1) == "the server is starting");
  CHECK(book.begin().nudge == std::vector<ClientId>{1});
  CHECK(book.publish(1).nudge.empty());  // told once
}

TEST_CASE("fewer clients than min_clients wait for the others") {
  auto options = four_clients();
  options.min_clients = 2;
  auto book = BookOnClock(options);
  book.begin();
  book.join(0);
  CHECK(book.reason_to_wait(0) == "clients (1 of 2 are here)");
  CHECK(book.join(3).nudge == std::vector<ClientId>{0});
  CHECK(book.task(0).id == 1);
}

TEST_CASE("an open lease is given again, after a reconnect too") {
  auto book = BookOnClock(four_clients());
  book.begin();
  book.join(0);
  const auto first = book.lease(0);
  CHECK(book.lease(0) == first);
  book.leave(0);
  book.pass(14.9);
  CHECK(book.tick().voided.empty());
  book.join(0);
  CHECK(book.lease(0) == first);
  CHECK(book.next_tick_s() == doctest::Approx(85.1));
}

TEST_CASE(
    "a lease whose base was fetched holds on without it, and has it again while it is the current one") {
  auto book = BookOnClock(four_clients());
  book.begin();
  book.join(0);
  const auto first = book.lease(0);
  REQUIRE(first->model);
  book.fetched(0, first->assignment.task.id + 1);  // no such lease
  CHECK(book.lease(0) == first);
  book.fetched(0, first->assignment.task.id);
  CHECK(book.lease(0)->model == first->model);
  CHECK(book.task(0).id == first->assignment.task.id);
  book.fetched(0, first->assignment.task.id);
  book.publish(1);
  CHECK(book.task(0).id == first->assignment.task.id);
  CHECK(book.lease(0)->model == nullptr);
}

TEST_CASE("a client that does not come back within rejoin loses its lease") {
  auto book = BookOnClock(four_clients());
  book.begin();
  book.join(0);
  book.join(1);
  const auto id = book.task(0).id;
  book.leave(0);
  CHECK(book.book.live() == 2);
  CHECK(book.next_tick_s() == doctest::Approx(15));
  book.pass(15);
  const auto effects = book.tick();
  REQUIRE(effects.voided.size() == 1);
  CHECK(effects.voided[0].client == 0);
  CHECK(effects.voided[0].task == id);
  CHECK_FALSE(effects.voided[0].was_cohort);
  CHECK(effects.live == 1u);
  book.join(0);
  CHECK(book.task(0).id == id + 1);
}

TEST_CASE("without anybody connected the book waits for clients, not for a place") {
  auto book = BookOnClock(four_clients());
  book.begin();
  book.join(0);
  book.settle(0, book.task(0).id);
  book.leave(0);
  for (const auto wait_s : {0.0, 15.0}) {
    book.pass(wait_s);
    book.tick();
    CHECK(book.book.roster(book.now).waited_for == "clients (none is connected, 1 lost)");
  }
  book.join(1);
  CHECK(book.book.roster(book.now).waited_for == "a free place (clients.fraction)");
}

TEST_CASE("a lease runs out at its deadline; without task_timeout it never does") {
  auto book = BookOnClock(four_clients());
  book.begin();
  book.join(0);
  book.task(0);
  book.pass(99);
  CHECK(book.tick().voided.empty());
  book.pass(1);
  REQUIRE(book.tick().voided.size() == 1);
  CHECK(book.next_tick_s() < 0);

  auto options = four_clients();
  options.task_timeout = Seconds(0);
  auto patient = BookOnClock(options);
  patient.begin();
  patient.join(0);
  patient.task(0);
  CHECK(patient.next_tick_s() < 0);
  patient.pass(1e6);
  CHECK(patient.tick().voided.empty());
}

TEST_CASE("only so many clients train at once; a place that becomes free is offered") {
  auto options = four_clients();
  options.fraction = 0.5;
  auto book = BookOnClock(options);
  book.begin();
  for (const auto client : {0u, 1u, 2u}) book.join(client);
  const auto first = book.task(0);
  const auto second = book.task(1);
  CHECK(book.reason_to_wait(2) == "a free place (clients.fraction)");
  CHECK(book.settle(0, first.id).nudge == std::vector<ClientId>{2});
  CHECK(book.task(2).id > second.id);
  CHECK(book.reason_to_wait(0) != "");
  CHECK(book.lose(1, second.id, "given up").nudge == std::vector<ClientId>{0});
  book.task(0);
  CHECK(book.reason_to_wait(1) != "");
  book.pass(100);
  CHECK(book.tick().nudge == std::vector<ClientId>{1});
}

TEST_CASE("no more work is given than updates are wanted") {
  auto book = BookOnClock(four_clients());
  book.begin();
  for (const auto client : {0u, 1u, 2u}) book.join(client);
  book.want(2);
  const auto first = book.task(0).id;
  const auto second = book.task(1).id;
  CHECK(book.reason_to_wait(2) == "the run's last updates (run.max_updates)");
  book.want(1);
  CHECK(book.settle(0, first).nudge.empty());
  CHECK(book.reason_to_wait(0) == "the run's last updates (run.max_updates)");
  CHECK(book.lose(1, second, "gone").nudge == std::vector<ClientId>{2});  // who has waited longest
  CHECK(book.task(2).id > second);
  CHECK(book.reason_to_wait(0) == "the run's last updates (run.max_updates)");
  CHECK(book.want(3).nudge == std::vector<ClientId>{0});  // a model that went back wants more again
}

TEST_CASE("answers that belong to no lease change nothing") {
  auto book = BookOnClock(four_clients());
  book.begin();
  book.join(0);
  const auto task = book.task(0);
  book.settle(0, task.id + 1);
  book.settle(3, task.id);
  CHECK(book.lose(1, task.id, "").voided.empty());
  CHECK(book.task(0).id == task.id);
  book.leave(9);
  CHECK(book.book.live() == 1);
}

TEST_CASE("a new book takes over the leases that sessions hold") {
  auto old = BookOnClock(four_clients());
  old.begin();
  old.join(0);
  const auto held = old.lease(0);

  auto book = BookOnClock(four_clients(), 2);
  book.join(0, held);
  book.publish(3, 1, false);
  CHECK(book.lease(0) == held);
  book.join(1);
  const auto task = book.task(1);
  CHECK(task.id > held->assignment.task.id);
  CHECK(task.epoch == 2);
  CHECK_FALSE(book.book.take_effects().first_lease);
}

TEST_CASE("a lease from before a restart knows its base's size, also when that version is gone") {
  auto held = Task();
  held.client = 0;
  held.id = 7;
  held.base = 2;
  for (const auto version : {2, 3}) {
    auto book = BookOnClock(four_clients(), 2);
    book.book.hold(held, book.now);
    book.publish(version, 1, true, 3);
    book.join(0);
    const auto lease = book.lease(0);
    CHECK(lease->assignment.task.id == 7);
    CHECK(lease->assignment.task.model_bytes == test::model_of(2)->size());
    CHECK((lease->model != nullptr) == (version == 2));
  }
}

TEST_CASE("a model that goes back voids the leases of versions that are no more") {
  auto book = BookOnClock(four_clients());
  book.begin(0);
  book.join(0);
  book.join(1);
  const auto kept = book.task(0);
  book.publish(1);
  const auto lost = book.task(1);
  const auto effects = book.publish(0, 9, true, 5);
  REQUIRE(effects.voided.size() == 1);
  CHECK(effects.voided[0].task == lost.id);
  CHECK(book.task(0).id == kept.id);
  const auto again = book.task(1);
  CHECK(again.id == 9);
  CHECK(again.epoch == 5);
  CHECK(again.base == 0);
}

TEST_CASE("clients evaluate when it is due") {
  auto options = four_clients();
  options.evaluate_every = 2;
  auto book = BookOnClock(options);
  book.begin(0);
  book.join(0);
  auto task = book.task(0);
  CHECK_FALSE(task.evaluate_base);
  for (const auto version : {1u, 2u}) {
    book.settle(0, task.id);
    book.publish(version);
    task = book.task(0);
    CHECK(task.evaluate_base == (version == 2));
  }
}

TEST_CASE("the end: leases are void, the last version is evaluated once, then all is finished") {
  auto book = BookOnClock(four_clients());
  book.begin(4);
  for (const auto client : {0u, 1u, 2u}) book.join(client);
  const auto open = book.task(0);
  book.lease(1, {10, 5, {}});
  book.settle(1, 2);
  book.leave(2);
  book.lease(0, {10, 5, {}});
  CHECK(book.book.finish("enough", test::model_of(5), book.now) == 2);
  CHECK(book.book.take_effects().voided[0].task == open.id);

  const auto last = book.lease(1, {10, 5, {}});
  REQUIRE(last->assignment.kind == Assignment::Kind::task);
  CHECK(last->assignment.task.kind == TaskKind::evaluate);
  CHECK(last->assignment.task.evaluate_base);
  CHECK(last->assignment.task.base == 5);
  book.settle(1, last->assignment.task.id);
  const auto over = book.lease(1, {10, 5, {}});
  CHECK(over->assignment.kind == Assignment::Kind::finished);
  CHECK(over->assignment.reason == "enough");
  // A client without validation data has nothing to answer.
  CHECK(book.lease(3)->assignment.kind == Assignment::Kind::finished);
  CHECK(book.publish(9).nudge.empty());
  CHECK(book.book.finish("enough", nullptr, book.now) == 0);
}

TEST_CASE("the roster says who is where and who is waited for") {
  auto book = BookOnClock(four_clients());
  CHECK(book.book.roster(book.now).waited_for == "the server is starting");
  book.begin();
  CHECK(book.book.roster(book.now).waited_for == "clients (0 of 1 are here)");
  for (const auto client : {0u, 1u, 2u}) book.join(client);
  book.task(1);
  book.pass(2);
  book.task(0);
  book.pass(3);
  book.leave(2);
  const auto roster = book.book.roster(book.now);
  CHECK(roster.training == 2);
  CHECK(roster.waiting == 0);
  CHECK(roster.lost == 1);
  CHECK(roster.waited_for == "client 1");
  CHECK(roster.waited_s == doctest::Approx(5));
}

TEST_CASE("the book knows where everybody is") {
  using State = ClientWhereabouts::State;
  auto book = BookOnClock(four_clients());
  book.begin();
  CHECK(book.book.whereabouts(10, book.now).empty());
  for (const auto client : {0u, 1u, 3u}) book.join(client);
  const auto task = book.task(1);
  (void)book.task(3);
  book.pass(2);
  book.leave(3);
  const auto all = book.book.whereabouts(10, book.now);
  REQUIRE(all.size() == 3);
  CHECK(all[0].state == State::waiting);
  CHECK(all[0].task == 0);
  CHECK(all[1].client == 1);
  CHECK(all[1].state == State::training);
  CHECK(all[1].task == task.id);
  CHECK(all[1].since_s == 2);
  CHECK(all[2].client == 3);
  CHECK(all[2].state == State::lost);
  CHECK(all[2].task != 0);  // its lease is kept for a while
  CHECK(book.book.whereabouts(2, book.now).size() == 2);
}
