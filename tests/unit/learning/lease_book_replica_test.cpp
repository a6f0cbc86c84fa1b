// The lease book where work is given twice: over-selection, and replicas that hold the same data.
#include <doctest/doctest.h>

#include "tests/support/lease_book_fixture.hpp"

using namespace fl;
using test::BookOnClock;

namespace {

constexpr auto kSameData = std::uint64_t{77};

Ready holding(std::uint64_t fingerprint) {
  auto ready = Ready{10, 0, {}};
  ready.data_fingerprint = fingerprint;
  return ready;
}

SchedulerOptions options_of(std::uint32_t clients, bool synchronous) {
  auto options = SchedulerOptions();
  options.synchronous = synchronous;
  options.clients_count = clients;
  return options;
}

SchedulerOptions with_backups(std::uint32_t clients, bool synchronous, std::uint32_t backups = 1) {
  auto options = options_of(clients, synchronous);
  options.backup_tasks = backups;
  options.backup_after = 2;
  return options;
}

/// What a client is given; it holds data of its own unless told otherwise.
Task ask(BookOnClock& book, ClientId client, std::uint64_t fingerprint = 0) {
  const auto given = book.lease(client, holding(fingerprint));
  return given->assignment.kind == Assignment::Kind::task ? given->assignment.task : Task();
}

bool waits(BookOnClock& book, ClientId client, std::uint64_t fingerprint = 0) {
  return book.lease(client, holding(fingerprint))->assignment.kind == Assignment::Kind::wait;
}

/// Three tasks of client 0 that take ten seconds each: that is usual from now on.
void show_what_is_usual(BookOnClock& book) {
  for (auto i = 0; i < 3; ++i) {
    const auto task = ask(book, 0);
    book.pass(10);
    book.settle(0, task.id);
  }
}

/// A task of client 1 that is overdue, and the copy of it that client 2 has, of three clients.
std::pair<Task, Task> overdue_with_backup(BookOnClock& book) {
  book.begin();
  for (auto client = 0u; client < 3; ++client) book.join(client);
  show_what_is_usual(book);
  const auto slow = ask(book, 1, kSameData);
  book.pass(30);
  const auto backup = ask(book, 2, kSameData);
  REQUIRE(backup.work == slow.id);
  return {slow, backup};
}

}  // namespace

// -- Over-selection -------------------------------------------------------------------------------

TEST_CASE("over-selection asks more clients than it needs, as far as there are some") {
  const auto asked = [](double redundancy, double fraction, std::uint32_t clients) {
    auto options = options_of(clients, true);
    options.redundancy = redundancy;
    options.fraction = fraction;
    auto book = BookOnClock(options);
    for (auto client = 0u; client < clients; ++client) book.join(client);
    const auto effects = book.begin();
    REQUIRE(effects.cohort);
    return std::pair(effects.cohort->tasks.size(), effects.cohort->wanted);
  };
  CHECK(asked(1, 0.5, 20) == std::pair(std::size_t{10}, std::size_t{0}));
  CHECK(asked(1.3, 0.5, 20) == std::pair(std::size_t{13}, std::size_t{10}));
  CHECK(asked(1.1, 0.5, 20) == std::pair(std::size_t{11}, std::size_t{10}));
  CHECK(asked(1.01, 0.5, 20) == std::pair(std::size_t{11}, std::size_t{10}));
  CHECK(asked(3, 0.5, 20) == std::pair(std::size_t{20}, std::size_t{10}));
  CHECK(asked(2, 1, 20) == std::pair(std::size_t{20}, std::size_t{0}));  // nobody is left to ask
}

TEST_CASE("a new version makes the tasks void that it did not need") {
  auto options = options_of(3, true);
  options.fraction = 0.67;
  options.redundancy = 1.5;
  auto book = BookOnClock(options);
  for (auto client = 0u; client < 3; ++client) book.join(client);
  REQUIRE(book.begin().cohort->wanted == 2);
  const auto late = book.task(2);
  book.settle(0, book.task(0).id);
  book.settle(1, book.task(1).id);
  const auto effects = book.publish(1);
  REQUIRE(effects.voided.size() == 1);
  CHECK(effects.voided[0].task == late.id);
  CHECK(effects.voided[0].superseded);
  CHECK_FALSE(effects.voided[0].was_cohort);
  REQUIRE(effects.cohort);
  CHECK(effects.cohort->tasks.size() == 3);
  CHECK(book.task(2).id != late.id);
}

// -- Replicas, asynchronous -----------------------------------------------------------------------

TEST_CASE(
    "an overdue task is also given to a client with the same data: the same work under a number of its own") {
  auto book = BookOnClock(with_backups(4, false));
  book.begin();
  for (auto client = 0u; client < 4; ++client) book.join(client);
  book.lease(3, holding(kSameData));  // the book knows of the replica before it gives the task
  book.lose(3, book.task(3).id, "later");
  show_what_is_usual(book);
  const auto slow = ask(book, 1, kSameData);
  book.publish(5);
  book.pass(19);
  const auto early = ask(book, 3, kSameData);
  CHECK(early.work == early.id);  // not overdue yet: work of its own
  book.settle(3, early.id);
  book.pass(2);
  const auto other = ask(book, 2, 88);
  CHECK(other.work == other.id);  // not the same data

  const auto backup = ask(book, 3, kSameData);
  CHECK(backup.work == slow.id);
  CHECK(backup.id != slow.id);
  CHECK(backup.client == 3);
  CHECK(backup.owner == 1);
  CHECK(backup.stream == slow.stream);
  CHECK(backup.base == slow.base);
  CHECK(book.lease(3, holding(kSameData))->model->version() == slow.base);  // not the newest
  CHECK(book.book.take_effects().given.size() >= 1);

  const auto effects = book.settle(3, backup.id);
  REQUIRE(effects.voided.size() == 1);
  CHECK(effects.voided[0].client == 1);
  CHECK(effects.voided[0].task == slow.id);
  CHECK(effects.voided[0].superseded);
  CHECK(ask(book, 1, kSameData).id != slow.id);
}

TEST_CASE("when the slow client answers after all, its backup is void") {
  auto book = BookOnClock(with_backups(3, false));
  const auto [slow, backup] = overdue_with_backup(book);
  const auto effects = book.settle(1, slow.id);
  REQUIRE(effects.voided.size() == 1);
  CHECK(effects.voided[0].client == 2);
  CHECK(effects.voided[0].task == backup.id);
}

TEST_CASE("a copy of work that its owner has lost is void when the owner has new work") {
  auto book = BookOnClock(with_backups(3, false));
  const auto [slow, backup] = overdue_with_backup(book);
  book.lose(1, slow.id, "out of memory");
  book.book.take_effects();
  const auto next = ask(book, 1, kSameData);
  CHECK(next.work == next.id);
  const auto effects = book.book.take_effects();
  REQUIRE(effects.voided.size() == 1);
  CHECK(effects.voided[0].client == 2);
  CHECK(effects.voided[0].task == backup.id);
  CHECK(effects.voided[0].superseded);
}

TEST_CASE(
    "there are no more backups at once than allowed, one for a task, and none without knowing what is "
    "usual") {
  auto book = BookOnClock(with_backups(6, false, 1));
  book.begin();
  for (auto client = 0u; client < 6; ++client) book.join(client);
  const auto first = ask(book, 1, kSameData);
  const auto second = ask(book, 2, kSameData);
  book.pass(1000);
  const auto own = ask(book, 3, kSameData);
  CHECK(own.work == own.id);
  book.lose(3, own.id, "given up");
  show_what_is_usual(book);
  CHECK(ask(book, 3, kSameData).work == first.id);  // the older one
  const auto next = ask(book, 4, kSameData);
  CHECK(next.work == next.id);  // the other must wait for its backup
  book.lose(4, next.id, "given up");
  book.settle(1, first.id);
  CHECK(ask(book, 4, kSameData).work == second.id);
}

TEST_CASE("a replica that was told to wait is told when the task is overdue; both count as one place") {
  auto options = with_backups(2, false);
  options.fraction = 0.5;  // one place
  auto book = BookOnClock(options);
  book.begin();
  book.join(0);
  book.join(1);
  for (auto i = 0; i < 3; ++i) {
    const auto task = ask(book, 0, kSameData);
    book.pass(10);
    book.settle(0, task.id);
  }
  const auto slow = ask(book, 0, kSameData);
  CHECK(waits(book, 1, kSameData));
  book.book.take_effects();
  CHECK(book.next_tick_s() == doctest::Approx(20));
  book.pass(20);
  CHECK(book.tick().nudge == std::vector<ClientId>{1});
  CHECK(book.tick().nudge.empty());
  CHECK(ask(book, 1, kSameData).work == slow.id);
  // A third would still have to wait.
  book.join(2);
  CHECK(waits(book, 2));
}

TEST_CASE("two holders of each task from the start") {
  auto options = options_of(4, false);
  options.redundancy = 2.5;
  auto book = BookOnClock(options);
  book.begin();
  for (auto client = 0u; client < 4; ++client) book.join(client);
  const auto first = ask(book, 0, kSameData);
  const auto second = ask(book, 1, kSameData);
  CHECK(second.work == first.id);
  const auto third = ask(book, 2, kSameData);
  CHECK(third.work == third.id);
  const auto own = ask(book, 3, 5);
  CHECK(own.work == own.id);
  CHECK(book.settle(1, second.id).voided.size() == 1);
}

TEST_CASE("without backups the same data mean nothing") {
  auto book = BookOnClock(options_of(3, false));
  book.begin();
  for (auto client = 0u; client < 3; ++client) book.join(client);
  show_what_is_usual(book);
  ask(book, 1, kSameData);
  book.pass(1e6);
  const auto own = ask(book, 2, kSameData);
  CHECK(own.work == own.id);
  CHECK(own.owner == 2);
}

// -- Replicas, synchronous ------------------------------------------------------------------------

TEST_CASE("a cohort's overdue task is done by a replica that has answered its own") {
  auto book = BookOnClock(with_backups(4, true));
  for (auto client = 0u; client < 4; ++client) book.join(client);
  REQUIRE(book.begin().cohort);
  const auto slow = ask(book, 3, kSameData);
  for (auto client = 0u; client < 3; ++client) {
    const auto task = ask(book, client, client == 2 ? kSameData : 0);
    book.pass(1);
    book.settle(client, task.id);
  }
  CHECK(waits(book, 2, kSameData));
  book.pass(book.next_tick_s());
  CHECK(book.tick().nudge == std::vector<ClientId>{2});
  const auto backup = ask(book, 2, kSameData);
  CHECK(backup.work == slow.id);
  CHECK(backup.stream == slow.stream);

  SUBCASE("the cohort loses the task only with its last holder") {
    CHECK_FALSE(book.lose(3, slow.id, "broken").voided.at(0).was_cohort);
    const auto effects = book.lose(2, backup.id, "broken too");
    CHECK(effects.voided.at(0).was_cohort);
    CHECK(effects.voided.at(0).work == slow.id);
  }
  SUBCASE("a backup that is lost loses the cohort nothing") {
    CHECK_FALSE(book.lose(2, backup.id, "broken").voided.at(0).was_cohort);
    CHECK(book.lose(3, slow.id, "broken too").voided.at(0).was_cohort);
  }
}

// -- Quarantine -----------------------------------------------------------------------------------

TEST_CASE("a dismissed client is forgotten at once: no rejoin, and no place in the next cohort") {
  auto book = BookOnClock(options_of(3, true));
  for (auto client = 0u; client < 3; ++client) book.join(client);
  book.begin();
  book.book.dismiss(2, "quarantined", book.now);
  const auto effects = book.book.take_effects();
  REQUIRE(effects.voided.size() == 1);
  CHECK(effects.voided[0].was_cohort);
  CHECK(effects.live == 2u);
  book.settle(0, book.task(0).id);
  book.settle(1, book.task(1).id);
  book.pass(15);  // in a new book everyone has as long to say that he is here
  const auto next = book.publish(1);
  REQUIRE(next.cohort);
  CHECK(next.cohort->tasks.size() == 2);
  book.book.dismiss(9, "unknown", book.now);
  CHECK(book.book.take_effects().voided.empty());
}
