#include "learning/aggregation/strategy.hpp"

#include <algorithm>
#include <cmath>

#include "learning/aggregation/names.hpp"

namespace fl {

namespace {

constexpr Names<StrategyName, 5> kStrategyNames = {{{"fedavg", StrategyName::fedavg},
                                                    {"fedavg_async", StrategyName::fedavg_async},
                                                    {"fedasync", StrategyName::fedasync},
                                                    {"fedasync_delta", StrategyName::fedasync_delta},
                                                    {"fedbuff", StrategyName::fedbuff}}};

/// K of FedBuff unless configured (Nguyen 2022, 2106.06639).
constexpr std::uint32_t kFedbuffBufferSize = 10;

/// One in four clients closes a buffer of fedavg_async unless configured.
constexpr std::uint32_t kClientsPerBufferPlace = 4;

}  // namespace

Result<StrategyName> parse_strategy(const std::string& name) {
  return parse_name(kStrategyNames, "strategy", name);
}

std::string to_string(StrategyName name) {
  return name_in(kStrategyNames, name);
}

bool is_synchronous(StrategyName name) {
  return name == StrategyName::fedavg;
}

bool wants_model(StrategyName name) {
  return name == StrategyName::fedasync;
}

std::uint32_t buffer_goal(const StrategyOptions& options, std::uint32_t live_clients) {
  const auto configured_or = [&options](std::uint32_t by_default) {
    return options.buffer_size > 0 ? options.buffer_size : by_default;
  };
  auto goal = live_clients;
  switch (options.name) {
    case StrategyName::fedavg:
      break;
    case StrategyName::fedavg_async:
      goal = configured_or(live_clients / kClientsPerBufferPlace);
      break;
    case StrategyName::fedbuff:
      goal = configured_or(kFedbuffBufferSize);
      break;
    case StrategyName::fedasync:
    case StrategyName::fedasync_delta:
      goal = 1;
      break;
  }
  return std::max(1u, std::min(goal, live_clients));
}

Result<Weight> weigh(const StrategyOptions& options, const UpdateFacts& update, Version current) {
  const auto who = "client " + std::to_string(update.client) + "'s update ";
  if (update.base > current) {
    return fail(ec::unknown_base, who + "claims to begin from version " + std::to_string(update.base) +
                                      ", but the model is at version " + std::to_string(current));
  }
  if (update.samples == 0) {
    return fail(ec::bad_claim, who + "claims 0 samples; an update needs at least 1");
  }
  const auto staleness = current - update.base;
  if (options.max_staleness > 0 && staleness > options.max_staleness) {
    return fail(ec::too_stale, who + "is " + std::to_string(staleness) + " versions old (from version " +
                                   std::to_string(update.base) + ", now " + std::to_string(current) +
                                   "); strategy.max_staleness allows " +
                                   std::to_string(options.max_staleness));
  }

  if (options.weighing) {
    auto weight = options.weighing(update, staleness);
    if (!std::isfinite(weight.fold) || !std::isfinite(weight.divisor) || weight.divisor <= 0)
      return fail(ec::internal,
                  who + "was given the weight " + std::to_string(weight.fold) + " / " +
                      std::to_string(weight.divisor) +
                      " by StrategyOptions::weighing; both must be finite, the divisor above 0");
    weight.staleness = staleness;
    return weight;
  }

  const auto samples = static_cast<double>(update.samples);
  const auto discount = staleness_weight(options.staleness, staleness);
  auto weight = Weight{.staleness = staleness};
  switch (options.name) {
    case StrategyName::fedavg:
      weight.fold = samples;
      weight.divisor = samples;
      break;
    case StrategyName::fedavg_async:
      weight.fold = samples * discount;
      weight.divisor = samples;
      break;
    case StrategyName::fedbuff:
      weight.fold = discount;
      weight.divisor = 1;
      break;
    case StrategyName::fedasync:
    case StrategyName::fedasync_delta:
      weight.fold = options.mixing * discount;
      weight.divisor = 1;
      break;
  }
  return weight;
}

}  // namespace fl
