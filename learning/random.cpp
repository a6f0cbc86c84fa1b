#include "learning/random.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace fl {

namespace {

/// 2^64 divided by the golden ratio: the step of SplitMix64 (Steele, Lea and Flood 2014).
constexpr std::uint64_t kGoldenStep = 0x9e37'79b9'7f4a'7c15;

/// SplitMix64's output function: every bit of the input changes about half of the result's.
constexpr std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58'476d'1ce4'e5b9;
  x = (x ^ (x >> 27)) * 0x94d0'49bb'1331'11eb;
  return x ^ (x >> 31);
}

/// FNV-1a, 64 bits.
constexpr std::uint64_t hash_of_text(std::string_view text) {
  std::uint64_t hash = 0xcbf2'9ce4'8422'2325;
  for (const auto character : text) {
    hash = (hash ^ static_cast<unsigned char>(character)) * 0x0000'0100'0000'01b3;
  }
  return hash;
}

}  // namespace

RandomStream::RandomStream(std::uint64_t seed) {
  for (auto& word : state_) {
    seed += kGoldenStep;
    word = mix(seed);
  }
}

RandomStream::result_type RandomStream::operator()() {
  const auto result = std::rotl(state_[1] * 5, 7) * 9;
  const auto shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

double RandomStream::uniform() {
  return static_cast<double>((*this)() >> 11) * 0x1.0p-53;
}

double RandomStream::uniform(double low, double high) {
  // Rounding can take the product up to `high` itself.
  return std::min(low + (high - low) * uniform(), std::nextafter(high, low));
}

std::uint64_t RandomStream::below(std::uint64_t bound) {
  // 2^64 mod bound values are too many for equal shares: draw again when one of them comes.
  const auto surplus = (0 - bound) % bound;
  auto drawn = (*this)();
  while (drawn < surplus) drawn = (*this)();
  return drawn % bound;
}

double RandomStream::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_normal_;
  }
  // Marsaglia's polar method: a point in the unit disc gives two independent values.
  for (;;) {
    const auto u = uniform(-1, 1);
    const auto v = uniform(-1, 1);
    const auto square = u * u + v * v;
    if (square >= 1 || square == 0) continue;
    const auto scale = std::sqrt(-2 * std::log(square) / square);
    spare_normal_ = v * scale;
    has_spare_ = true;
    return u * scale;
  }
}

double RandomStream::gamma(double shape) {
  // Γ(a) = Γ(a + 1) · U^(1/a), as the method below needs a ≥ 1.
  if (shape < 1) return gamma(shape + 1) * std::pow(1 - uniform(), 1 / shape);
  const auto d = shape - 1.0 / 3;
  const auto c = 1 / std::sqrt(9 * d);
  for (;;) {
    const auto z = normal();
    const auto cube_root = 1 + c * z;
    if (cube_root <= 0) continue;
    const auto v = cube_root * cube_root * cube_root;
    const auto u = 1 - uniform();
    if (std::log(u) < 0.5 * z * z + d - d * v + d * std::log(v)) return d * v;
  }
}

std::uint64_t stream_seed(std::uint64_t run_seed, std::string_view purpose, std::uint64_t a,
                          std::uint64_t b) {
  auto seed = mix(run_seed + kGoldenStep);
  for (const auto part : {hash_of_text(purpose), a, b}) seed = mix((seed ^ part) + kGoldenStep);
  return seed;
}

}  // namespace fl
