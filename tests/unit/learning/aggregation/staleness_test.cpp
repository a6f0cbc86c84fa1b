#include "learning/aggregation/staleness.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>

using fl::staleness_weight;
using fl::StalenessFunction;

namespace {

fl::StalenessOptions with_defaults(StalenessFunction function) {
  return {.function = function, .a = fl::default_staleness_a(function), .b = 4};
}

constexpr StalenessFunction kAll[] = {StalenessFunction::constant, StalenessFunction::polynomial,
                                      StalenessFunction::hinge, StalenessFunction::exponential};

}  // namespace

TEST_CASE("constant is 1") {
  CHECK(staleness_weight(with_defaults(StalenessFunction::constant), 1000) == 1);
}

TEST_CASE("polynomial is (1 + τ)^−a") {
  const auto options = with_defaults(StalenessFunction::polynomial);
  CHECK(staleness_weight(options, 3) == doctest::Approx(0.5));      // 4^−0.5
  CHECK(staleness_weight(options, 8) == doctest::Approx(1.0 / 3));  // 9^−0.5
  CHECK(staleness_weight({.function = StalenessFunction::polynomial, .a = 2}, 1) ==
        doctest::Approx(0.25));  // 2^−2
}

TEST_CASE("hinge is 1 up to b, then 1 / (a (τ − b) + 1)") {
  const auto options = with_defaults(StalenessFunction::hinge);
  CHECK(staleness_weight(options, 4) == 1);
  CHECK(staleness_weight(options, 5) == doctest::Approx(1.0 / 11));  // 1 / (10 · 1 + 1)
  CHECK(staleness_weight(options, 8) == doctest::Approx(1.0 / 41));  // 1 / (10 · 4 + 1)
}

TEST_CASE("exponential is e^(−a τ)") {
  const auto options = with_defaults(StalenessFunction::exponential);
  CHECK(staleness_weight(options, 10) == doctest::Approx(0.36787944117));  // e^−1
  CHECK(staleness_weight(options, 20) == doctest::Approx(0.13533528324));  // e^−2
}

TEST_CASE("every function is 1 at 0, never rises, and stays above 0") {
  for (const auto function : kAll) {
    const auto options = with_defaults(function);
    CHECK(staleness_weight(options, 0) == 1);
    double before = 1;
    for (std::uint64_t tau = 1; tau < 1000; ++tau) {
      const auto weight = staleness_weight(options, tau);
      CHECK(weight <= before);
      CHECK(weight > 0);
      before = weight;
    }
    CHECK(staleness_weight(options, std::numeric_limits<std::uint64_t>::max()) > 0);
  }
}

TEST_CASE("names are parsed, and an unknown one is answered with the list") {
  CHECK(fl::parse_staleness("hinge") == StalenessFunction::hinge);
  CHECK(fl::parse_staleness("exponential") == StalenessFunction::exponential);
  const auto wrong = fl::parse_staleness("linear");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().code == fl::ec::bad_config);
  CHECK(wrong.error().text ==
        "unknown staleness function \"linear\"; choose one of constant, polynomial, hinge, exponential");
}
