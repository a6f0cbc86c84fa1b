// s(τ): how much an update counts that began τ versions ago (Xie 2019, 1903.03934).
#pragma once

#include <cstdint>
#include <string>

#include "messages/errors.hpp"

namespace fl {

/// Which s(τ). Every one has s(0) = 1 and never exceeds 1.
enum class StalenessFunction : std::uint8_t {
  constant,     ///< 1
  polynomial,   ///< (1 + τ)^−a
  hinge,        ///< 1 if τ ≤ b, else 1 / (a (τ − b) + 1)
  exponential,  ///< e^(−a τ)
};

struct StalenessOptions {
  StalenessFunction function = StalenessFunction::polynomial;
  double a = 0.5;  ///< > 0; by default 0.5 (polynomial), 10 (hinge), 0.1 (exponential)
  double b = 4;    ///< hinge only, ≥ 0
};

/// The default of `a` for a function, as ALGORITHMS and the papers have it.
double default_staleness_a(StalenessFunction function);

/// "polynomial" → StalenessFunction::polynomial; fails with `bad_config` and the list of names.
Result<StalenessFunction> parse_staleness(const std::string& name);

/// s(τ) in (0, 1].
double staleness_weight(const StalenessOptions& options, std::uint64_t staleness);

}  // namespace fl
