// Which values of an array are kept.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace fl {

/// Indices, ascending, of the `count` values of largest magnitude; among equals the first. Zeros are never
/// kept, so there may be fewer. The values are finite. O(size), without sorting: a threshold from a sample
/// thins the array out in one pass, and only what passes it is ranked.
std::vector<std::uint64_t> largest_magnitudes(std::span<const float> values, std::uint64_t count);

/// The smallest magnitude of the `count` largest (count ≥ 1); 0 when fewer are not zero.
float magnitude_threshold(std::span<const float> values, std::uint64_t count);

/// Indices, ascending, of all values that are not zero.
std::vector<std::uint64_t> nonzero(std::span<const float> values);

/// A pseudo-random order of [0, size) that takes no memory: a Feistel network of four rounds on the next even
/// number of bits, walked until it meets an index below size (Black and Rogaway 2002).
class RandomOrder {
 public:
  /// size ≥ 1.
  RandomOrder(std::uint64_t size, std::uint64_t seed);

  /// The place-th index; `place` in [0, size).
  std::uint64_t operator[](std::uint64_t place) const;

 private:
  std::uint64_t size_;
  unsigned half_bits_;
  std::uint64_t keys_[4];
};

}  // namespace fl
