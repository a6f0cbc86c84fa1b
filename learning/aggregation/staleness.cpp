#include "learning/aggregation/staleness.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "learning/aggregation/names.hpp"

namespace fl {

namespace {

constexpr Names<StalenessFunction, 4> kStalenessNames = {{{"constant", StalenessFunction::constant},
                                                          {"polynomial", StalenessFunction::polynomial},
                                                          {"hinge", StalenessFunction::hinge},
                                                          {"exponential", StalenessFunction::exponential}}};

}  // namespace

double default_staleness_a(StalenessFunction function) {
  switch (function) {
    case StalenessFunction::constant:
    case StalenessFunction::polynomial:
      return 0.5;
    case StalenessFunction::hinge:
      return 10;
    case StalenessFunction::exponential:
      return 0.1;
  }
  return 0.5;
}

Result<StalenessFunction> parse_staleness(const std::string& name) {
  return parse_name(kStalenessNames, "staleness function", name);
}

double staleness_weight(const StalenessOptions& options, std::uint64_t staleness) {
  const auto tau = static_cast<double>(staleness);
  switch (options.function) {
    case StalenessFunction::constant:
      return 1;
    case StalenessFunction::polynomial:
      return std::pow(1 + tau, -options.a);
    case StalenessFunction::hinge:
      return tau <= options.b ? 1 : 1 / (options.a * (tau - options.b) + 1);
    case StalenessFunction::exponential:
      // Not zero even where the exponential underflows: an accepted update has a weight.
      return std::max(std::exp(-options.a * tau), std::numeric_limits<double>::min());
  }
  return 1;
}

}  // namespace fl
