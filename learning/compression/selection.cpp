#include "learning/compression/selection.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>

#include "learning/random.hpp"
#include "learning/vectorize.hpp"

namespace fl {

namespace {

constexpr std::uint64_t kMaxSample = 1u << 16;
constexpr std::size_t kChunk = 32;

/// Magnitudes of finite floats are ordered like the integers their bits make.
inline std::uint32_t key_of(float value) {
  return std::bit_cast<std::uint32_t>(value) & 0x7fff'ffff;
}

/// The values whose key reaches a threshold.
struct Candidates {
  std::vector<std::uint32_t> keys;
  std::vector<std::uint64_t> indices;
};

/// Chunks without a candidate are passed over by one vector comparison; in the others nothing branches on the
/// values.
FL_VECTORIZED std::size_t collect(const float* values, std::size_t begin, std::size_t end,
                                  std::uint32_t threshold, std::uint32_t* keys, std::uint64_t* indices) {
  auto found = std::size_t{0};
  const auto look = [&](std::size_t i) {
    const auto key = key_of(values[i]);
    keys[found] = key;
    indices[found] = i;
    found += key >= threshold ? 1 : 0;
  };
  auto i = begin;
  for (; i + kChunk <= end; i += kChunk) {
    auto any = 0u;
    for (std::size_t j = 0; j < kChunk; ++j) any |= key_of(values[i + j]) >= threshold ? 1u : 0u;
    if (any == 0) continue;
    for (std::size_t j = 0; j < kChunk; ++j) look(i + j);
  }
  for (; i < end; ++i) look(i);
  return found;
}

Candidates candidates_from(std::span<const float> values, std::uint32_t threshold, std::uint64_t expected) {
  constexpr std::size_t kBlock = 1u << 16;
  auto candidates = Candidates();
  auto found = std::size_t{0};
  candidates.keys.resize(expected + kBlock);
  candidates.indices.resize(expected + kBlock);
  for (std::size_t begin = 0; begin < values.size(); begin += kBlock) {
    const auto end = std::min(begin + kBlock, values.size());
    if (candidates.keys.size() < found + kBlock) {
      candidates.keys.resize(2 * found + kBlock);
      candidates.indices.resize(2 * found + kBlock);
    }
    found += collect(values.data(), begin, end, threshold, candidates.keys.data() + found,
                     candidates.indices.data() + found);
  }
  candidates.keys.resize(found);
  candidates.indices.resize(found);
  return candidates;
}

/// A key that a few more than `count` values reach, most likely, from a sample spread over the array.
std::uint32_t guess_threshold(std::span<const float> values, std::uint64_t count) {
  const auto size = values.size();
  const auto samples = std::min<std::uint64_t>(size, kMaxSample);
  auto keys = std::vector<std::uint32_t>(samples);
  // Golden-ratio steps, lest the sample fall in step with the rows of a matrix.
  auto place = std::uint64_t{0};
  for (auto& key : keys) {
    const auto share = static_cast<double>(place >> 11) * 0x1p-53;
    key = key_of(values[static_cast<std::size_t>(share * static_cast<double>(size))]);
    place += 0x9e37'79b9'7f4a'7c15;
  }
  const auto expected = static_cast<double>(count) / static_cast<double>(size) * static_cast<double>(samples);
  const auto rank = static_cast<std::uint64_t>(expected + 4 * std::sqrt(expected) + 8);
  if (rank >= samples) return 1;
  std::nth_element(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(rank), keys.end(),
                   std::greater<>());
  return std::max(keys[rank], 1u);
}

/// At least the `count` largest of those that are not zero, and hardly more.
Candidates candidates_for(std::span<const float> values, std::uint64_t count) {
  const auto guess = guess_threshold(values, count);
  auto candidates = candidates_from(values, guess, count + count / 4);
  if (candidates.keys.size() < count && guess > 1) candidates = candidates_from(values, 1, count);
  return candidates;
}

/// The `count`-th largest key; count in [1, keys.size()].
std::uint32_t ranked(std::vector<std::uint32_t> keys, std::uint64_t count) {
  const auto nth = keys.begin() + static_cast<std::ptrdiff_t>(count - 1);
  std::nth_element(keys.begin(), nth, keys.end(), std::greater<>());
  return *nth;
}

}  // namespace

std::vector<std::uint64_t> largest_magnitudes(std::span<const float> values, std::uint64_t count) {
  if (count == 0 || values.empty()) return {};
  auto candidates = candidates_for(values, count);
  auto& [keys, indices] = candidates;
  if (keys.size() <= count) return std::move(indices);
  const auto threshold = ranked(keys, count);
  auto above = std::uint64_t{0};
  for (const auto key : keys) above += key > threshold ? 1 : 0;
  auto equals = count - above;
  auto kept = std::size_t{0};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (keys[i] < threshold || (keys[i] == threshold && equals == 0)) continue;
    if (keys[i] == threshold) --equals;
    indices[kept++] = indices[i];
  }
  indices.resize(kept);
  return std::move(indices);
}

float magnitude_threshold(std::span<const float> values, std::uint64_t count) {
  if (values.empty()) return 0;
  const auto candidates = candidates_for(values, count);
  if (candidates.keys.size() < count) return 0;
  return std::bit_cast<float>(ranked(candidates.keys, count));
}

std::vector<std::uint64_t> nonzero(std::span<const float> values) {
  return candidates_from(values, 1, values.size() / 4).indices;
}

RandomOrder::RandomOrder(std::uint64_t size, std::uint64_t seed)
    : size_(size), half_bits_(std::max(1u, (static_cast<unsigned>(std::bit_width(size - 1)) + 1) / 2)) {
  auto stream = RandomStream(seed);
  for (auto& key : keys_) key = stream();
}

std::uint64_t RandomOrder::operator[](std::uint64_t place) const {
  const auto mask = (std::uint64_t{1} << half_bits_) - 1;
  do {
    auto left = place >> half_bits_;
    auto right = place & mask;
    for (const auto key : keys_) {
      auto mixed = (right ^ key) * 0xbf58'476d'1ce4'e5b9;
      mixed = (mixed ^ mixed >> 29) * 0x94d0'49bb'1331'11eb;
      const auto next = left ^ (mixed >> 32 & mask);
      left = right;
      right = next;
    }
    place = left << half_bits_ | right;
  } while (place >= size_);
  return place;
}

}  // namespace fl
