// The one way random numbers are made: streams derived from the run's seed and what they are for.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

namespace fl {

/// A small, fast, platform-independent generator (xoshiro256**, Blackman and Vigna 2018), seeded through
/// SplitMix64. Meets UniformRandomBitGenerator. Use the member distributions: those of <random> differ
/// between libraries.
class RandomStream {
 public:
  using result_type = std::uint64_t;

  explicit RandomStream(std::uint64_t seed);

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }
  result_type operator()();

  double uniform();                          ///< in [0, 1)
  double uniform(double low, double high);   ///< in [low, high)
  std::uint64_t below(std::uint64_t bound);  ///< in [0, bound), unbiased; bound ≥ 1
  double normal();                           ///< mean 0, variance 1
  double gamma(double shape);                ///< scale 1; shape > 0 (Marsaglia and Tsang 2000)

 private:
  std::uint64_t state_[4];
  double spare_normal_ = 0;
  bool has_spare_ = false;
};

/// The seed of the stream for one purpose, e.g. stream_seed(run_seed, "train", client, task): independent
/// streams for different purposes, the same on every machine.
std::uint64_t stream_seed(std::uint64_t run_seed, std::string_view purpose, std::uint64_t a = 0,
                          std::uint64_t b = 0);

}  // namespace fl
