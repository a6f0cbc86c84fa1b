#include "learning/selection/selection_policy.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

using namespace fl;

namespace {

std::unique_ptr<SelectionPolicy> policy(const std::string& name, std::uint64_t seed = 1) {
  auto options = PolicyOptions();
  options.name = name;
  return make_selection_policy(options, seed).value();
}

Candidates all_of(ClientId count) {
  auto candidates = Candidates();
  for (auto client = ClientId{0}; client < count; ++client) candidates.add(client);
  return candidates;
}

std::vector<ClientId> ids(ClientId count) {
  auto clients = std::vector<ClientId>(count);
  std::iota(clients.begin(), clients.end(), ClientId{0});
  return clients;
}

/// Who answered `answered` tasks of `duration_s`, the last with this loss over `samples` samples.
ClientMeasures known(float duration_s, float loss = 1, float samples = 100, std::uint32_t answered = 5) {
  auto one = ClientMeasures();
  one.answered = answered;
  one.duration_s = duration_s;
  one.samples_per_s = samples / duration_s;
  one.loss = loss;
  one.samples = samples;
  return one;
}

/// How often each is chosen of `count` candidates.
std::map<ClientId, int> choices(SelectionPolicy& policy, ClientId count, const SelectionFacts& facts,
                                int times = 1000) {
  const auto candidates = all_of(count);
  auto chosen = std::map<ClientId, int>();
  for (auto i = 0; i < times; ++i)
    if (const auto client = policy.choose(candidates, facts)) ++chosen[*client];
  return chosen;
}

}  // namespace

TEST_CASE("candidates: the one that has waited longest, any of them, and nobody who left") {
  auto candidates = Candidates();
  for (const auto client : {7u, 3u, 9u}) candidates.add(client);
  CHECK(candidates.oldest() == 7);
  candidates.add(7);  // keeps its place
  CHECK(candidates.oldest() == 7);
  candidates.remove(7);
  CHECK(candidates.oldest() == 3);
  candidates.add(7);
  CHECK(candidates.size() == 3);
  candidates.remove(3);
  candidates.remove(3);
  candidates.remove(1000);
  CHECK(candidates.oldest() == 9);
  auto left = std::set<ClientId>{candidates.at(0), candidates.at(1)};
  CHECK(left == std::set<ClientId>{7, 9});
}

TEST_CASE("candidates that come and go for long take no more memory than they are") {
  auto candidates = Candidates();
  auto random = RandomStream(1);
  auto expected = std::vector<ClientId>();  // in the order of waiting
  for (auto i = 0; i < 100'000; ++i) {
    const auto client = static_cast<ClientId>(random.below(50));
    const auto there = std::ranges::find(expected, client);
    REQUIRE(candidates.contains(client) == (there != expected.end()));
    if (there != expected.end()) {
      candidates.remove(client);
      expected.erase(there);
    } else {
      candidates.add(client);
      expected.push_back(client);
    }
    REQUIRE(candidates.size() == expected.size());
    if (!expected.empty()) REQUIRE(candidates.oldest() == expected.front());
  }
}

TEST_CASE("all: who has waited longest; random: each as often") {
  const auto measures = MeasuresTable();
  const auto facts = SelectionFacts{measures, 0, 10, 0};
  CHECK(choices(*policy("all"), 10, facts) == std::map<ClientId, int>{{0, 1000}});
  const auto drawn = choices(*policy("random"), 10, facts, 10'000);
  CHECK(drawn.size() == 10);
  for (const auto& [client, times] : drawn) CHECK(times == doctest::Approx(1000).epsilon(0.15));
}

TEST_CASE("cohorts depend on seed and version alone, and are rising") {
  const auto measures = MeasuresTable();
  for (const auto* name : {"all", "random", "power_of_choice", "oort", "tiered", "fair"}) {
    CAPTURE(name);
    const auto first = policy(name);
    const auto second = policy(name);
    const auto other = policy(name, 2);
    auto differs = false;
    for (auto version = Version{0}; version < 20; ++version) {
      const auto facts = SelectionFacts{measures, version, 50, 0};
      auto cohort = first->cohort(ids(50), 10, facts);
      CHECK(cohort.size() == 10);
      CHECK(std::ranges::is_sorted(cohort));
      CHECK(std::set<ClientId>(cohort.begin(), cohort.end()).size() == 10);
      // Whatever was asked before.
      if (version % 2 == 0) (void)second->choose(all_of(3), facts);
      CHECK(second->cohort(ids(50), 10, facts) == cohort);
      differs = differs || other->cohort(ids(50), 10, facts) != cohort;
    }
    CHECK(differs);
  }
}

TEST_CASE("power_of_choice: the largest loss of those that were drawn, and the unknown first") {
  auto measures = MeasuresTable();
  for (auto client = 0; client < 10; ++client)
    measures.push_back(known(1, 0.1f * static_cast<float>(client + 1)));
  const auto facts = SelectionFacts{measures, 0, 10, 50};
  const auto chosen = choices(*policy("power_of_choice"), 10, facts, 10'000);
  // The best of three draws: the last in 1 − 0.9³ of all cases, the first hardly ever.
  CHECK(chosen.at(9) == doctest::Approx(2710).epsilon(0.1));
  CHECK((chosen.contains(0) ? chosen.at(0) : 0) < 50);
  measures[4] = {};
  CHECK(policy("power_of_choice")->cohort(ids(10), 4, facts).size() == 4);
  auto times = 0;
  for (auto version = Version{0}; version < 50; ++version) {
    const auto cohort = policy("power_of_choice")->cohort(ids(10), 4, {measures, version, 10, 50});
    times += std::ranges::count(cohort, 4u) > 0 ? 1 : 0;
  }
  CHECK(times == 50);  // three times four are all ten
}

TEST_CASE("oort: much to teach counts, being slower than the median counts against") {
  auto measures = MeasuresTable();
  for (auto client = 0; client < 5; ++client) measures.push_back(known(10, 1));
  measures[1].loss = 4;
  measures[2].loss = 4;
  measures[2].duration_s = 100;  // ten times the median: a hundredth of the utility
  const auto facts = SelectionFacts{measures, 100, 5, 25};
  CHECK(choices(*policy("oort"), 5, facts) == std::map<ClientId, int>{{1, 1000}});
  measures[1].reliability = 0.1f;
  CHECK_FALSE(choices(*policy("oort"), 5, facts).contains(1));
  // Untried clients are explored, less with each version.
  measures.resize(3);
  const auto early = choices(*policy("oort"), 5, {measures, 0, 5, 15});
  const auto late = choices(*policy("oort"), 5, {measures, 1000, 5, 15});
  const auto explored = [](const auto& chosen) {
    auto sum = 0;
    for (const auto client : {3u, 4u}) sum += chosen.contains(client) ? chosen.at(client) : 0;
    return sum;
  };
  CHECK(explored(early) == doctest::Approx(900).epsilon(0.1));
  CHECK(explored(late) == doctest::Approx(200).epsilon(0.2));
}

TEST_CASE("tiered: a cohort is of clients that are about as fast, and every tier has its turn") {
  auto measures = MeasuresTable();
  for (auto client = 0; client < 50; ++client)
    measures.push_back(known(static_cast<float>(1 << (client / 10))));
  auto tiers = std::map<ClientId, int>();
  for (auto version = Version{0}; version < 200; ++version) {
    const auto cohort = policy("tiered")->cohort(ids(50), 10, {measures, version, 50, 250});
    REQUIRE(cohort.size() == 10);
    CHECK(cohort.front() / 10 == cohort.back() / 10);
    ++tiers[cohort.front() / 10];
  }
  CHECK(tiers.size() == 5);
  for (const auto& [tier, times] : tiers) CHECK(times > 20);
  measures.resize(45);  // five were never tried
  const auto cohort = policy("tiered")->cohort(ids(50), 3, {measures, 0, 50, 225});
  CHECK(cohort.front() >= 45);
}

TEST_CASE("fair: who was accepted least, and nobody far beyond the others") {
  auto measures = MeasuresTable();
  for (auto client = 0; client < 4; ++client) measures.push_back(known(1, 1, 100, 10));
  measures[2].answered = 9;
  const auto facts = SelectionFacts{measures, 0, 4, 39};
  CHECK(choices(*policy("fair"), 4, facts) == std::map<ClientId, int>{{2, 1000}});
  for (auto& one : measures) one.answered = 1;
  measures[0].answered = 50;
  auto candidates = Candidates();
  candidates.add(0);
  CHECK_FALSE(
      policy("fair")->choose(candidates, {measures, 0, 4, 53}).has_value());  // the others are at work
  candidates.add(3);
  CHECK(policy("fair")->choose(candidates, {measures, 0, 4, 53}) == 3u);
}

TEST_CASE("an unknown policy is refused by name") {
  auto options = PolicyOptions();
  options.name = "best";
  const auto made = make_selection_policy(options, 1);
  REQUIRE_FALSE(made.has_value());
  CHECK(made.error().text.find("\"best\"") != std::string::npos);
}
