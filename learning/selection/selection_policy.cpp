#include "learning/selection/selection_policy.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>

namespace fl {

namespace {

const ClientMeasures& measures_of(ClientId client, const SelectionFacts& facts) {
  static const auto unknown = ClientMeasures();
  return client < facts.measures.size() ? facts.measures[client] : unknown;
}

/// `count` of them at random, in random order.
std::vector<ClientId> drawn(std::vector<ClientId> clients, std::size_t count, RandomStream& random) {
  count = std::min(count, clients.size());
  for (auto i = std::size_t{0}; i < count; ++i)
    std::swap(clients[i], clients[i + random.below(clients.size() - i)]);
  clients.resize(count);
  return clients;
}

std::vector<ClientId> sample_of(const Candidates& candidates, std::size_t count, RandomStream& random) {
  auto sample = std::vector<ClientId>();
  if (candidates.size() <= count) {
    for (auto i = std::size_t{0}; i < candidates.size(); ++i) sample.push_back(candidates.at(i));
    std::ranges::sort(sample);
    return sample;
  }
  // With repeats: of many, few are drawn twice, and a repeat does no harm.
  for (auto i = std::size_t{0}; i < count; ++i)
    sample.push_back(candidates.at(random.below(candidates.size())));
  return sample;
}

/// Policies that order clients and take the first ones.
class Ranking : public SelectionPolicy {
 public:
  explicit Ranking(std::uint64_t seed) : seed_(seed), random_(stream_seed(seed, "choose")) {}

  std::optional<ClientId> choose(const Candidates& candidates, const SelectionFacts& facts) override {
    auto best = ranked(sample_of(candidates, sample_size(1), random_), 1, facts, random_);
    return best.empty() ? std::nullopt : std::optional(best.front());
  }

  std::vector<ClientId> cohort(std::vector<ClientId> present, std::size_t count,
                               const SelectionFacts& facts) override {
    auto random = RandomStream(stream_seed(seed_, "cohort", facts.version));
    auto best = ranked(drawn(std::move(present), sample_size(count), random), count, facts, random);
    std::ranges::sort(best);
    return best;
  }

 protected:
  /// How many clients, drawn at random, to look at for `count`.
  virtual std::size_t sample_size(std::size_t count) const { return std::max(kSample, 10 * count); }

  /// The `count` best of the sample.
  virtual std::vector<ClientId> ranked(std::vector<ClientId> sample, std::size_t count,
                                       const SelectionFacts& facts, RandomStream& random) = 0;

 private:
  std::uint64_t seed_;
  RandomStream random_;
};

/// The `count` with the largest scores; equal ones as the sample has them.
std::vector<ClientId> largest(std::vector<ClientId> sample, std::size_t count,
                              const std::function<double(ClientId)>& score) {
  auto scored = std::vector<std::pair<double, ClientId>>();
  for (const auto client : sample) scored.emplace_back(score(client), client);
  count = std::min(count, scored.size());
  std::ranges::stable_sort(scored, std::greater<>(), &std::pair<double, ClientId>::first);
  sample.clear();
  for (auto i = std::size_t{0}; i < count; ++i) sample.push_back(scored[i].second);
  return sample;
}

class Random : public Ranking {
 public:
  using Ranking::Ranking;

 protected:
  std::size_t sample_size(std::size_t count) const override { return count; }
  std::vector<ClientId> ranked(std::vector<ClientId> sample, std::size_t count, const SelectionFacts&,
                               RandomStream& random) override {
    return drawn(std::move(sample), count, random);
  }
};

class All final : public Random {
 public:
  using Random::Random;
  std::optional<ClientId> choose(const Candidates& candidates, const SelectionFacts&) override {
    return candidates.oldest();
  }
};

class PowerOfChoice final : public Ranking {
 public:
  PowerOfChoice(std::uint64_t seed, double choices) : Ranking(seed), choices_(choices) {}

 protected:
  std::size_t sample_size(std::size_t count) const override {
    return static_cast<std::size_t>(std::ceil(choices_ * static_cast<double>(count)));
  }
  std::vector<ClientId> ranked(std::vector<ClientId> sample, std::size_t count, const SelectionFacts& facts,
                               RandomStream&) override {
    return largest(std::move(sample), count, [&](ClientId client) {
      const auto& one = measures_of(client, facts);
      return one.known() ? one.loss : std::numeric_limits<double>::infinity();
    });
  }

 private:
  double choices_;
};

class Oort final : public Ranking {
 public:
  Oort(std::uint64_t seed, double alpha) : Ranking(seed), alpha_(alpha) {}

 protected:
  std::vector<ClientId> ranked(std::vector<ClientId> sample, std::size_t count, const SelectionFacts& facts,
                               RandomStream& random) override {
    auto tried = std::vector<ClientId>();
    auto untried = std::vector<ClientId>();
    for (const auto client : sample) (measures_of(client, facts).known() ? tried : untried).push_back(client);
    const auto preferred = preferred_duration(tried, facts);
    // The share of exploration falls with each version, as in the paper's rounds.
    const auto exploring = std::max(0.2, 0.9 * std::pow(0.98, static_cast<double>(facts.version)));
    auto explore = std::size_t{0};
    for (auto i = std::size_t{0}; i < count; ++i) explore += random.uniform() < exploring ? 1u : 0u;
    explore = std::min(explore, untried.size());
    const auto exploit = std::min(count - explore, tried.size());
    explore = std::min(count - exploit, untried.size());
    auto best = largest(std::move(tried), exploit,
                        [&](ClientId client) { return utility(client, preferred, facts); });
    for (const auto client : drawn(std::move(untried), explore, random)) best.push_back(client);
    return best;
  }

 private:
  /// The median of those that were tried.
  static double preferred_duration(const std::vector<ClientId>& tried, const SelectionFacts& facts) {
    auto durations = std::vector<float>();
    for (const auto client : tried) durations.push_back(measures_of(client, facts).duration_s);
    if (durations.empty()) return 0;
    const auto middle = durations.begin() + static_cast<std::ptrdiff_t>(durations.size() / 2);
    std::ranges::nth_element(durations, middle);
    return *middle;
  }

  double utility(ClientId client, double preferred, const SelectionFacts& facts) const {
    const auto& one = measures_of(client, facts);
    const auto age = static_cast<double>(facts.version - std::min(facts.version, one.last_version)) + 1;
    // A client that was not asked for long is less certain to be what it was.
    const auto uncertain = std::sqrt(0.1 * std::log(static_cast<double>(facts.version) + 2) * age /
                                     (static_cast<double>(facts.version) + 1));
    const auto statistical = one.samples * std::max(one.loss, 0.0f) * (1 + uncertain);
    const auto slow = one.duration_s > preferred && one.duration_s > 0;
    return statistical * one.reliability * (slow ? std::pow(preferred / one.duration_s, alpha_) : 1.0);
  }

  double alpha_;
};

class Tiered final : public Ranking {
 public:
  Tiered(std::uint64_t seed, std::uint32_t tiers) : Ranking(seed), tiers_(tiers) {}

 protected:
  std::vector<ClientId> ranked(std::vector<ClientId> sample, std::size_t count, const SelectionFacts& facts,
                               RandomStream& random) override {
    // Who was never tried is a tier of its own, and first.
    const auto speed = [&](ClientId client) { return measures_of(client, facts).duration_s; };
    std::ranges::stable_sort(sample, std::less<>(), speed);
    const auto tried =
        std::ranges::find_if(sample, [&](ClientId c) { return measures_of(c, facts).known(); });
    const auto untried = static_cast<std::size_t>(tried - sample.begin());
    if (untried >= count) {
      sample.resize(untried);
      return drawn(std::move(sample), count, random);
    }
    // A tier with too few is filled up from its neighbours.
    const auto size = std::max(count, (sample.size() + tiers_ - 1) / tiers_);
    const auto tier = random.below((sample.size() + size - 1) / size);
    const auto first = std::min(tier * size, sample.size() - std::min(size, sample.size()));
    auto members = std::vector<ClientId>(
        sample.begin() + static_cast<std::ptrdiff_t>(first),
        sample.begin() + static_cast<std::ptrdiff_t>(std::min(first + size, sample.size())));
    return drawn(std::move(members), count, random);
  }

 private:
  std::uint32_t tiers_;
};

class Fair final : public Ranking {
 public:
  Fair(std::uint64_t seed, double share) : Ranking(seed), share_(share) {}

 protected:
  std::vector<ClientId> ranked(std::vector<ClientId> sample, std::size_t count, const SelectionFacts& facts,
                               RandomStream&) override {
    const auto equal =
        static_cast<double>(facts.answered) / static_cast<double>(std::max<std::size_t>(1, facts.clients));
    std::erase_if(sample, [&](ClientId client) {
      return static_cast<double>(measures_of(client, facts).answered) >= share_ * equal + 1;
    });
    return largest(std::move(sample), count, [&](ClientId client) {
      return -static_cast<double>(measures_of(client, facts).answered);
    });
  }

 private:
  double share_;
};

}  // namespace

Result<std::unique_ptr<SelectionPolicy>> make_selection_policy(const PolicyOptions& options,
                                                               std::uint64_t seed) {
  if (options.name == "all") return std::make_unique<All>(seed);
  if (options.name == "random") return std::make_unique<Random>(seed);
  if (options.name == "power_of_choice") return std::make_unique<PowerOfChoice>(seed, options.choices);
  if (options.name == "oort") return std::make_unique<Oort>(seed, options.oort_alpha);
  if (options.name == "tiered") return std::make_unique<Tiered>(seed, options.tiers);
  if (options.name == "fair") return std::make_unique<Fair>(seed, options.fair_share);
  return fail(ec::bad_config, "schedule.policy = \"" + options.name +
                                  "\"; there are all, random, power_of_choice, oort, tiered and fair");
}

}  // namespace fl
