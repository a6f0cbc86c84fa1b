#include "learning/random.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <vector>

// Known answers come from a separate implementation in Python of the published reference code.

TEST_CASE("a stream gives xoshiro256**'s values for a SplitMix64 seed") {
  auto stream = fl::RandomStream(0);
  CHECK(stream() == 0x99ec5f36cb75f2b4);
  CHECK(stream() == 0xbf6e1f784956452a);
  CHECK(stream() == 0x1a5f849d4933e6e0);
  CHECK(stream() == 0x6aa594f1262d2d2c);
}

TEST_CASE("uniform takes the upper 53 bits") {
  auto stream = fl::RandomStream(1);
  CHECK(stream.uniform() == 0.7029218331588505);
  CHECK(stream.uniform() == 0.5204366199388569);
  CHECK(stream.uniform() == 0.5741057000197225);
}

TEST_CASE("uniform in a range never reaches its upper end") {
  auto stream = fl::RandomStream(3);
  const auto high = std::nextafter(1.0, 2.0);  // between 1 and high there is no other number
  for (int i = 0; i < 100; ++i) CHECK(stream.uniform(1.0, high) == 1.0);
}

TEST_CASE("below is known, in range, and even") {
  auto stream = fl::RandomStream(1);
  for (const std::uint64_t expected : {7, 2, 0, 3, 1, 2, 6, 9, 1, 8}) CHECK(stream.below(10) == expected);
  CHECK(stream.below(1) == 0);

  auto counts = std::vector<int>(7);
  for (int i = 0; i < 70'000; ++i) ++counts[stream.below(7)];
  // Each is binomial with mean 10,000 and a standard deviation of 93.
  for (const auto count : counts) CHECK(std::abs(count - 10'000) < 500);
}

TEST_CASE("normal is known to the last bits of the mathematics library") {
  auto stream = fl::RandomStream(1);
  for (const auto expected :
       {1.884396104787977, 0.18978089448693036, 1.302090250702661, -1.9094343319583578}) {
    CHECK(stream.normal() == doctest::Approx(expected).epsilon(1e-14));
  }
}

TEST_CASE("normal and gamma have their means and variances") {
  auto stream = fl::RandomStream(5);
  constexpr int kDraws = 100'000;
  const auto check = [&](double mean, double variance, auto draw) {
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < kDraws; ++i) {
      const double value = draw();
      sum += value;
      squares += value * value;
    }
    const auto measured_mean = sum / kDraws;
    CHECK(std::abs(measured_mean - mean) < 0.05);
    CHECK(std::abs(squares / kDraws - measured_mean * measured_mean - variance) < 0.15);
  };
  check(0, 1, [&] { return stream.normal(); });
  check(0.3, 0.3, [&] { return stream.gamma(0.3); });  // Γ(a, 1) has mean and variance a
  check(1, 1, [&] { return stream.gamma(1); });
  check(4.5, 4.5, [&] { return stream.gamma(4.5); });
}

TEST_CASE("a stream's seed depends on all of its parts and their order") {
  CHECK(fl::stream_seed(1, "train", 2, 3) == 0x18c672794b8b66ba);
  CHECK(fl::stream_seed(1, "train", 3, 2) == 0x2c2e92a458ac63da);
  CHECK(fl::stream_seed(1, "init") == 0x605d03c0809c2af8);

  auto seeds = std::set<std::uint64_t>();
  for (std::uint64_t client = 0; client < 100; ++client) {
    for (std::uint64_t task = 0; task < 100; ++task) seeds.insert(fl::stream_seed(1, "train", client, task));
  }
  CHECK(seeds.size() == 10'000);
}
