// What several benchmarks measure with.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "learning/vectorize.hpp"

namespace fl::bench {

/// The fastest read: integer additions, which may be reordered into vectors.
FL_VECTORIZED inline std::uint32_t read_all(const float* values, std::size_t size) {
  const auto* words = reinterpret_cast<const std::uint32_t*>(values);
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < size; ++i) sum += words[i];
  return sum;
}

inline double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace fl::bench
