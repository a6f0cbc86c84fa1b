// The lease book with synchronous strategies: cohorts.
#include <doctest/doctest.h>

#include <set>

#include "tests/support/lease_book_fixture.hpp"

using namespace fl;
using test::BookOnClock;

namespace {

SchedulerOptions cohorts_of(std::uint32_t clients) {
  auto options = SchedulerOptions();
  options.synchronous = true;
  options.clients_count = clients;
  return options;
}

/// A book with all its clients there and the first cohort open.
BookOnClock opened(std::uint32_t clients) {
  auto book = BookOnClock(cohorts_of(clients));
  book.begin();
  for (auto client = 0u; client < clients; ++client) book.join(client);
  return book;
}

/// Every client of the cohort answers.
void answer_all(BookOnClock& book, std::uint32_t clients) {
  for (auto client = 0u; client < clients; ++client) book.settle(client, book.task(client).id);
}

}  // namespace

TEST_CASE("the first cohort waits for all, and its tasks are folded in the order of clients") {
  auto book = BookOnClock(cohorts_of(3));
  book.begin();
  book.join(2);
  book.join(0);
  CHECK(book.reason_to_wait(0) == "clients (2 of 3 are here)");
  book.pass(1e6);
  CHECK_FALSE(book.tick().cohort);  // however long it takes
  const auto effects = book.join(1);
  REQUIRE(effects.cohort);
  CHECK(effects.cohort->version == 0);
  CHECK(effects.cohort->tasks == std::vector<TaskId>{1, 2, 3});
  CHECK(effects.nudge == std::vector<ClientId>{0, 1, 2});
  CHECK(effects.first_lease);
  CHECK(book.task(2).id == 3);

  answer_all(book, 3);
  CHECK(book.reason_to_wait(1) == "the next version");
  const auto next = book.publish(1);
  REQUIRE(next.cohort);
  CHECK(next.cohort->tasks == std::vector<TaskId>{4, 5, 6});
}

TEST_CASE("a settled client waits for the next version; a late one too") {
  auto book = opened(2);
  book.settle(0, 1);
  CHECK(book.lease(0)->assignment.kind == Assignment::Kind::wait);
  book.join(7);
  CHECK(book.lease(7)->assignment.kind == Assignment::Kind::wait);
}

TEST_CASE("a vanished client is waited for during rejoin, then the cohort does without it") {
  auto book = opened(3);
  book.settle(0, 1);
  book.settle(1, 2);
  book.leave(2);
  CHECK(book.next_tick_s() == doctest::Approx(15));
  book.pass(15);
  const auto effects = book.tick();
  REQUIRE(effects.voided.size() == 1);
  CHECK(effects.voided[0].task == 3);
  CHECK(effects.voided[0].was_cohort);
  // The next versions do not wait for it again.
  for (const auto version : {1u, 2u}) {
    const auto next = book.publish(version);
    REQUIRE(next.cohort);
    CHECK(next.cohort->tasks.size() == 2);
    book.settle(0, book.task(0).id);
    book.settle(1, book.task(1).id);
  }
  book.join(2);
  CHECK(book.publish(3).cohort->tasks.size() == 3);
}

TEST_CASE("a client that vanishes between versions is part of the next cohort and has its rejoin") {
  auto book = opened(2);
  answer_all(book, 2);
  book.leave(1);
  CHECK(book.publish(1).cohort->tasks.size() == 2);
  book.pass(10);
  book.join(1);
  CHECK(book.task(1).id == 4);
}

TEST_CASE("without anybody a cohort waits until someone is there") {
  auto book = opened(2);
  answer_all(book, 2);
  book.leave(0);
  book.leave(1);
  book.pass(20);
  CHECK(book.tick().live == 0u);
  CHECK_FALSE(book.publish(1).cohort);
  CHECK(book.next_tick_s() < 0);
  const auto effects = book.join(1);
  REQUIRE(effects.cohort);
  CHECK(effects.cohort->tasks == std::vector<TaskId>{book.task(1).id});
}

TEST_CASE("a part of the clients is chosen by seed and version alone") {
  const auto chosen = [](std::uint64_t seed, bool reversed) {
    auto options = cohorts_of(10);
    options.fraction = 0.3;
    options.seed = seed;
    auto book = BookOnClock(options);
    for (auto i = 0u; i < 10; ++i) book.join(reversed ? 9 - i : i);
    auto cohorts = std::vector<std::vector<ClientId>>{book.begin().nudge};
    for (auto version = 1u; version < 20; ++version) cohorts.push_back(book.publish(version).nudge);
    return cohorts;
  };
  const auto cohorts = chosen(1, false);
  CHECK(chosen(1, true) == cohorts);
  CHECK(chosen(2, false) != cohorts);
  auto clients = std::set<ClientId>();
  for (auto version = std::size_t{0}; version < cohorts.size(); ++version) {
    CHECK(cohorts[version].size() == 3);
    CHECK(std::is_sorted(cohorts[version].begin(), cohorts[version].end()));
    clients.insert(cohorts[version].begin(), cohorts[version].end());
  }
  CHECK(clients.size() == 10);  // in twenty draws each had its turn
}

TEST_CASE("a cohort begun anew has new tasks that train with the same streams") {
  auto book = opened(2);
  const auto first = book.task(0);
  const auto effects = book.publish(0, 1, true, 7);
  CHECK(effects.voided.size() == 2);
  REQUIRE(effects.cohort);
  CHECK(effects.cohort->tasks == std::vector<TaskId>{3, 4});
  const auto again = book.task(0);
  CHECK(again.id == 3);
  CHECK(again.stream == first.stream);
  CHECK(again.epoch == 7);
}

TEST_CASE("a version that is told twice is no news") {
  auto book = opened(2);
  const auto effects = book.publish(0);
  CHECK_FALSE(effects.cohort);
  CHECK(effects.voided.empty());
}

TEST_CASE("a new book voids what sessions hold and goes on without a client that is gone") {
  auto old = opened(2);
  const auto held = old.lease(0);

  auto book = BookOnClock(cohorts_of(2), 2);
  book.publish(0, 1, false);
  const auto effects = book.join(0, held);
  REQUIRE(effects.voided.size() == 1);
  CHECK_FALSE(effects.voided[0].was_cohort);  // of the old book's cohort, which the new one's replaces
  CHECK_FALSE(effects.cohort);
  CHECK(book.next_tick_s() == doctest::Approx(15));
  book.pass(15);
  const auto opened_anew = book.tick();
  REQUIRE(opened_anew.cohort);
  CHECK(opened_anew.cohort->tasks == std::vector<TaskId>{2});  // above what the old book gave
}

TEST_CASE("at the end open tasks are void and evaluations have numbers of their own") {
  auto book = opened(2);
  CHECK(book.book.finish("enough", test::model_of(1), book.now) == 0);  // nobody said that it can evaluate
  CHECK(book.book.take_effects().voided.size() == 2);
  const auto last = book.lease(0, {10, 5, {}});
  REQUIRE(last->assignment.kind == Assignment::Kind::task);
  CHECK(last->assignment.task.id == 3);
  CHECK_FALSE(book.tick().cohort);
}
