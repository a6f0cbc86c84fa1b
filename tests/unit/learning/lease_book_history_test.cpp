// Random histories of a lease book: clients come, go, answer, give up and vanish, versions come, time passes.
// Whatever happens, no lease leaks, no place stays empty while there is somebody for it, and under `fair`
// nobody starves.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "tests/support/lease_book_fixture.hpp"

using namespace fl;
using test::BookOnClock;

namespace {

constexpr auto kClients = ClientId{8};

struct History {
  explicit History(std::uint64_t seed, const std::string& policy, bool with_failures)
      : random(seed), fails(with_failures), book(options(policy, seed)) {}

  RandomStream random;
  bool fails;
  std::uint32_t places = 0;
  BookOnClock book;
  std::set<ClientId> here;
  std::set<ClientId> waiting;        ///< who asked, and was told to wait
  std::map<ClientId, Task> working;  ///< as the clients see it
  std::map<ClientId, int> answered;
  Version version = 0;

  SchedulerOptions options(const std::string& policy, std::uint64_t seed) {
    auto options = SchedulerOptions();
    options.clients_count = kClients;
    options.policy.name = policy;
    options.seed = seed;
    places = 1 + static_cast<std::uint32_t>(random.below(kClients));
    options.max_concurrent = places;
    options.task_timeout = Seconds(50);
    return options;
  }

  /// What the book tells clients, and what they do then: they ask at once.
  void carry_out() {
    for (;;) {
      const auto effects = book.book.take_effects();
      for (const auto& lost : effects.voided) {
        const auto found = working.find(lost.client);
        if (found != working.end() && found->second.id == lost.task) working.erase(found);
      }
      if (effects.nudge.empty()) return;
      for (const auto client : effects.nudge) {
        REQUIRE(here.contains(client));
        ask(client);
      }
    }
  }

  void ask(ClientId client) {
    const auto task = book.task(client);
    if (task.id == 0) {
      waiting.insert(client);
      return;
    }
    waiting.erase(client);
    working[client] = task;
  }

  void answer(ClientId client) {
    auto said = TaskAnswer{1, 10, 100, random.uniform()};
    book.book.settle(client, working.at(client).id, book.now, said);
    working.erase(client);
    ++answered[client];
    carry_out();
    ask(client);
    carry_out();
  }

  void step() {
    const auto client = static_cast<ClientId>(random.below(kClients));
    const auto there = here.contains(client);
    switch (random.below(fails ? 8 : 4)) {
      case 0:
      case 1:
        if (working.contains(client) && there) answer(client);
        break;
      case 2:
        if (!there) {
          here.insert(client);
          book.book.join(client, nullptr, book.now);
          carry_out();
          ask(client);
        }
        break;
      case 3:
        book.publish(++version);
        break;
      case 4:
        if (there) {
          here.erase(client);
          waiting.erase(client);
          book.book.leave(client, book.now);
        }
        break;
      case 5:
        if (working.contains(client) && there) {
          book.book.lose(client, working.at(client).id, "given up", book.now);
          working.erase(client);
          carry_out();
          ask(client);
        }
        break;
      case 6:
        book.pass(30 * random.uniform());
        break;
      case 7:
        if (random.below(20) == 0) {
          here.erase(client);
          waiting.erase(client);
          book.book.dismiss(client, "quarantined", book.now);
        }
        break;
      default:
        break;
    }
    carry_out();
    book.book.tick(book.now);
    carry_out();
  }

  void check(const std::string& policy) {
    const auto roster = book.book.roster(book.now);
    // The book's leases are those that the clients hold, or hold no more because they have vanished.
    REQUIRE(roster.training == working.size());
    REQUIRE(roster.training <= places);
    auto connected_idle = std::size_t{0};
    for (const auto client : here) connected_idle += working.contains(client) ? 0u : 1u;
    REQUIRE(roster.waiting == connected_idle);
    if (policy == "fair") return;  // where somebody may have to wait for the others
    if (roster.training < places) REQUIRE(waiting.empty());
  }
};

}  // namespace

TEST_CASE("random histories: no lease leaks and no place stays empty") {
  auto histories = 0;
  for (const auto* policy : {"all", "random", "power_of_choice", "oort", "tiered", "fair"})
    for (auto seed = std::uint64_t{1}; seed <= 1'700; ++seed, ++histories) {
      CAPTURE(policy);
      CAPTURE(seed);
      auto history = History(seed, policy, true);
      history.book.begin();
      for (auto i = 0; i < 60; ++i) {
        history.step();
        history.check(policy);
      }
      // Everybody leaves for good: nothing is left open.
      for (auto client = ClientId{0}; client < kClients; ++client)
        history.book.book.dismiss(client, "the end", history.book.now);
      CHECK(history.book.book.roster(history.book.now).training == 0);
      CHECK(history.book.book.live() == 0);
      CHECK(history.book.next_tick_s() < 0);
    }
  CHECK(histories >= 10'000);
}

TEST_CASE("fair: nobody starves, however fast the others are") {
  for (auto seed = std::uint64_t{1}; seed <= 200; ++seed) {
    CAPTURE(seed);
    auto history = History(seed, "fair", false);
    history.book.begin();
    for (auto client = ClientId{0}; client < kClients; ++client) {
      history.here.insert(client);
      history.book.book.join(client, nullptr, history.book.now);
      history.carry_out();
      history.ask(client);
      history.carry_out();
    }
    // Client 0 answers at once, the others when they are drawn.
    auto random = RandomStream(seed);
    for (auto i = 0; i < 10'000; ++i) {
      if (history.working.contains(0)) history.answer(0);
      const auto client = static_cast<ClientId>(random.below(kClients));
      if (random.below(3) == 0 && history.working.contains(client)) history.answer(client);
    }
    auto total = 0;
    for (const auto& [client, times] : history.answered) total += times;
    REQUIRE(total > 200);
    for (auto client = ClientId{0}; client < kClients; ++client) {
      CHECK(history.answered[client] > total / 32);
      CHECK(history.answered[client] <= 2 * total / 8 + 2);
    }
  }
}
