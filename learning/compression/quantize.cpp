#include "learning/compression/quantize.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstring>

#include "learning/kernels.hpp"
#include "learning/vectorize.hpp"

namespace fl {

namespace {

constexpr std::size_t kSumLanes = 32;

template <class T>
T load(const std::byte* from) {
  auto value = T();
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class T>
std::byte* store(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof value);
  return to + sizeof value;
}

struct Bounds {
  float low = 0;
  float high = 0;
};

/// In lanes, for the compiler may not reorder comparisons of floats.
FL_VECTORIZED Bounds bounds_of(const float* values, std::size_t count) {
  std::array<float, kSumLanes> low;
  std::array<float, kSumLanes> high;
  low.fill(values[0]);
  high.fill(values[0]);
  std::size_t i = 0;
  for (; i + kSumLanes <= count; i += kSumLanes) {
    for (std::size_t lane = 0; lane < kSumLanes; ++lane) {
      const auto value = values[i + lane];
      low[lane] = value < low[lane] ? value : low[lane];
      high[lane] = value > high[lane] ? value : high[lane];
    }
  }
  for (; i < count; ++i) {
    low[0] = std::min(low[0], values[i]);
    high[0] = std::max(high[0], values[i]);
  }
  auto bounds = Bounds{low[0], high[0]};
  for (std::size_t lane = 1; lane < kSumLanes; ++lane) {
    bounds.low = std::min(bounds.low, low[lane]);
    bounds.high = std::max(bounds.high, high[lane]);
  }
  return bounds;
}

/// Σ |v|, in double, in lanes.
FL_VECTORIZED double sum_of_magnitudes(const float* values, std::size_t count) {
  std::array<double, kSumLanes> lanes{};
  std::size_t i = 0;
  const auto magnitude = [](double value) { return value < 0 ? -value : value; };
  for (; i + kSumLanes <= count; i += kSumLanes)
    for (std::size_t lane = 0; lane < kSumLanes; ++lane) lanes[lane] += magnitude(values[i + lane]);
  for (; i < count; ++i) lanes[0] += magnitude(values[i]);
  for (auto width = kSumLanes / 2; width > 0; width /= 2)
    for (std::size_t lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  return lanes[0];
}

/// A uniform number in [0, 1) for each index of a block: a counter through a mixing function whose every
/// input bit reaches every output bit, which vectorises as no generator with a state does.
inline float uniform_at(std::uint32_t key, std::uint32_t index) {
  auto x = key + index * 0x9e37'79b9u;
  x ^= x >> 16;
  x *= 0x7feb'352du;
  x ^= x >> 15;
  x *= 0x846c'a68bu;
  x ^= x >> 16;
  return static_cast<float>(static_cast<std::int32_t>(x >> 8)) * 0x1p-24f;
}

/// codes[i] = ⌊(values[i] − low) · inverse + u⌋, at most `top`.
template <bool stochastic>
FL_VECTORIZED void affine_codes(const float* values, std::size_t count, float low, float inverse,
                                std::int32_t top, std::uint32_t key, std::uint8_t* codes) {
  FL_ELEMENTWISE
  for (std::size_t i = 0; i < count; ++i) {
    const auto u = stochastic ? uniform_at(key, static_cast<std::uint32_t>(i)) : 0.5f;
    const auto code = static_cast<std::int32_t>((values[i] - low) * inverse + u);
    codes[i] = static_cast<std::uint8_t>(code < top ? code : top);
  }
}

/// codes[i] = S + sign · ⌊|values[i]| · inverse + u⌋, the level at most S.
template <bool stochastic>
FL_VECTORIZED void level_codes(const float* values, std::size_t count, float inverse, std::int32_t levels,
                               std::uint32_t key, std::uint8_t* codes) {
  FL_ELEMENTWISE
  for (std::size_t i = 0; i < count; ++i) {
    const auto u = stochastic ? uniform_at(key, static_cast<std::uint32_t>(i)) : 0.5f;
    const auto bits = std::bit_cast<std::uint32_t>(values[i]);
    const auto negative = -static_cast<std::int32_t>(bits >> 31);
    auto level = static_cast<std::int32_t>(std::bit_cast<float>(bits & 0x7fff'ffff) * inverse + u);
    level = level < levels ? level : levels;
    codes[i] = static_cast<std::uint8_t>(levels + (level ^ negative) - negative);
  }
}

FL_VECTORIZED void affine_values(const std::uint8_t* codes, std::size_t count, float low, float step,
                                 float* values) {
  FL_ELEMENTWISE
  for (std::size_t i = 0; i < count; ++i)
    values[i] = low + step * static_cast<float>(static_cast<std::int32_t>(codes[i]));
}

FL_VECTORIZED void level_values(const std::uint8_t* codes, std::size_t count, float step, std::int32_t levels,
                                float* values) {
  FL_ELEMENTWISE
  for (std::size_t i = 0; i < count; ++i)
    values[i] = step * static_cast<float>(static_cast<std::int32_t>(codes[i]) - levels);
}

/// Byte i holds code i below and code i + ⌈count / 2⌉ above.
FL_VECTORIZED void pack_halves(const std::uint8_t* codes, std::size_t count, std::uint8_t* bytes) {
  const auto half = (count + 1) / 2;
  FL_ELEMENTWISE
  for (std::size_t i = 0; i < count - half; ++i)
    bytes[i] = static_cast<std::uint8_t>(codes[i] | codes[i + half] << 4);
  if (half > count - half) bytes[half - 1] = codes[half - 1];
}

FL_VECTORIZED void unpack_halves(const std::uint8_t* bytes, std::size_t count, std::uint8_t* codes) {
  const auto half = (count + 1) / 2;
  for (std::size_t i = 0; i < half; ++i) codes[i] = bytes[i] & 0x0f;
  for (std::size_t i = 0; i < count - half; ++i) codes[i + half] = static_cast<std::uint8_t>(bytes[i] >> 4);
}

/// Codes of `bits` bits one behind the other, the first in the lowest bits.
void pack_bits(const std::uint8_t* codes, std::size_t count, unsigned bits, std::uint8_t* bytes) {
  auto window = std::uint64_t{0};
  auto filled = 0u;
  for (std::size_t i = 0; i < count; ++i) {
    window |= std::uint64_t{codes[i]} << filled;
    for (filled += bits; filled >= 8; filled -= 8, window >>= 8) *bytes++ = static_cast<std::uint8_t>(window);
  }
  if (filled > 0) *bytes = static_cast<std::uint8_t>(window);
}

void unpack_bits(const std::uint8_t* bytes, std::size_t count, unsigned bits, std::uint8_t* codes) {
  const auto mask = (1u << bits) - 1;
  auto window = 0u;
  auto filled = 0u;
  for (std::size_t i = 0; i < count; ++i) {
    if (filled < bits) {
      window |= unsigned{*bytes++} << filled;
      filled += 8;
    }
    codes[i] = static_cast<std::uint8_t>(window & mask);
    window >>= bits;
    filled -= bits;
  }
}

/// The same for four bits, two codes at a time.
FL_VECTORIZED void pack_nibbles(const std::uint16_t* pairs, std::size_t count, std::uint8_t* bytes) {
  FL_ELEMENTWISE
  for (std::size_t i = 0; i < count; ++i)
    bytes[i] = static_cast<std::uint8_t>((pairs[i] & 0x0f) | (pairs[i] >> 4 & 0xf0));
}

FL_VECTORIZED void unpack_nibbles(const std::uint8_t* bytes, std::size_t count, std::uint16_t* pairs) {
  FL_ELEMENTWISE
  for (std::size_t i = 0; i < count; ++i)
    pairs[i] = static_cast<std::uint16_t>((bytes[i] & 0x0f) | (bytes[i] & 0xf0) << 4);
}

/// Eight signs a byte.
FL_VECTORIZED void pack_signs(const float* values, std::size_t count, std::uint8_t* bytes) {
  std::array<std::uint8_t, kQuantizedBlock> negative{};
  FL_ELEMENTWISE
  for (std::size_t i = 0; i < count; ++i) negative[i] = values[i] < 0 ? 1 : 0;
  for (std::size_t i = 0; i < (count + 7) / 8; ++i) {
    auto eight = std::uint64_t{0};
    for (std::size_t bit = 0; bit < 8; ++bit) eight |= std::uint64_t{negative[8 * i + bit]} << bit;
    bytes[i] = static_cast<std::uint8_t>(eight);
  }
}

FL_VECTORIZED void signed_values(const std::uint8_t* bytes, std::size_t count, float scale, float* values) {
  const auto bits = std::bit_cast<std::uint32_t>(scale);
  const auto sign_of = [](std::uint32_t byte, std::uint32_t bit) { return (byte >> bit & 1) << 31; };
  const auto whole = count / 8 * 8;
  for (std::size_t i = 0; i < whole; i += 8) {
    const std::uint32_t byte = bytes[i / 8];
    for (std::uint32_t bit = 0; bit < 8; ++bit)
      values[i + bit] = std::bit_cast<float>(bits ^ sign_of(byte, bit));
  }
  for (auto i = whole; i < count; ++i)
    values[i] = std::bit_cast<float>(bits ^ sign_of(bytes[i / 8], static_cast<std::uint32_t>(i % 8)));
}

/// To nearest even; what is too large becomes the largest.
FL_VECTORIZED void to_fp16(const float* values, std::size_t count, std::uint16_t* out) {
  constexpr std::uint32_t kLeastNormal = 0x3880'0000;  // 2^-14
  constexpr std::uint32_t kOverflow = 0x477f'f000;     // 65,520: would round to infinity
  FL_ELEMENTWISE
  for (std::size_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(values[i]);
    const auto magnitude = bits & 0x7fff'ffff;
    const auto normal = (magnitude + 0xfff + (magnitude >> 13 & 1) - 0x3800'0000) >> 13;
    // Adding 0.5, whose last bit is worth what the last bit of a subnormal half is, rounds to it.
    const auto shifted = std::bit_cast<float>(magnitude) + 0.5f;
    const auto subnormal = std::bit_cast<std::uint32_t>(shifted) - 0x3f00'0000;
    auto half = magnitude < kLeastNormal ? subnormal : normal;
    half = magnitude >= kOverflow ? 0x7bff : half;
    out[i] = static_cast<std::uint16_t>(half | (bits >> 16 & 0x8000));
  }
}

FL_VECTORIZED void from_fp16(const std::uint16_t* halves, std::size_t count, float* values) {
  FL_ELEMENTWISE
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t half = halves[i];
    const auto magnitude = half & 0x7fff;
    const auto normal = (magnitude << 13) + 0x3800'0000;
    const auto subnormal =
        std::bit_cast<std::uint32_t>(static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24f);
    auto bits = magnitude < 0x0400 ? subnormal : normal;
    bits = magnitude >= 0x7c00 ? bits | 0x7f80'0000 : bits;
    values[i] = std::bit_cast<float>(bits | (half & 0x8000) << 16);
  }
}

FL_VECTORIZED void to_bf16(const float* values, std::size_t count, std::uint16_t* out) {
  FL_ELEMENTWISE
  for (std::size_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(values[i]);
    out[i] = static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
}

FL_VECTORIZED void from_bf16(const std::uint16_t* halves, std::size_t count, float* values) {
  FL_ELEMENTWISE
  for (std::size_t i = 0; i < count; ++i)
    values[i] = std::bit_cast<float>(static_cast<std::uint32_t>(halves[i]) << 16);
}

/// The step between two levels, 0 where it is too small to divide by, and what to multiply with instead of
/// dividing.
struct Step {
  float step = 0;
  float inverse = 0;
};
Step step_of(double range, std::uint32_t levels) {
  const auto step = static_cast<float>(range / levels);
  if (!(step >= FLT_MIN)) return {};
  return {step, 1.0f / step};
}

unsigned qsgd_bits(const Codec& codec) {
  return static_cast<unsigned>(std::bit_width(2 * codec.levels));
}

using Codes = std::array<std::uint8_t, kQuantizedBlock>;
using CodePairs = std::array<std::uint16_t, kQuantizedBlock / 2>;

void pack_codes(const Codes& codes, std::size_t count, unsigned bits, std::uint8_t* bytes) {
  if (bits == 8) {
    std::memcpy(bytes, codes.data(), count);
  } else if (bits == 4) {  // codes behind `count` are 0
    pack_nibbles(std::bit_cast<CodePairs>(codes).data(), (count + 1) / 2, bytes);
  } else {
    pack_bits(codes.data(), count, bits, bytes);
  }
}

void unpack_codes(const std::uint8_t* bytes, std::size_t count, unsigned bits, Codes& codes) {
  if (bits == 8) {
    std::memcpy(codes.data(), bytes, count);
  } else if (bits == 4) {
    auto pairs = CodePairs();
    unpack_nibbles(bytes, (count + 1) / 2, pairs.data());
    codes = std::bit_cast<Codes>(pairs);
  } else {
    unpack_bits(bytes, count, bits, codes.data());
  }
}

/// Writes low and step, and makes the codes.
std::byte* quantize_affine(std::span<const float> values, std::uint32_t levels, Rounding rounding,
                           std::uint32_t key, std::byte* out, std::uint8_t* codes) {
  const auto bounds = bounds_of(values.data(), values.size());
  const auto [step, inverse] = step_of(static_cast<double>(bounds.high) - bounds.low, levels);
  const auto top = static_cast<std::int32_t>(levels);
  (rounding == Rounding::stochastic ? affine_codes<true> : affine_codes<false>)(values.data(), values.size(),
                                                                                bounds.low, inverse, top, key,
                                                                                codes);
  return store(store(out, bounds.low), step);
}

void quantize_qsgd(const Codec& codec, std::span<const float> values, Rounding rounding, std::uint32_t key,
                   std::byte* out) {
  const auto norm = std::sqrt(kernels::sum_of_squares(values));
  const auto [step, inverse] = step_of(norm, codec.levels);
  auto codes = Codes();
  (rounding == Rounding::stochastic ? level_codes<true>
                                    : level_codes<false>)(values.data(), values.size(), inverse,
                                                          static_cast<std::int32_t>(codec.levels), key,
                                                          codes.data());
  auto* bytes = reinterpret_cast<std::uint8_t*>(store(out, step > 0 ? static_cast<float>(norm) : 0.0f));
  pack_codes(codes, values.size(), qsgd_bits(codec), bytes);
}

void dequantize_qsgd(const Codec& codec, const std::byte* in, std::span<float> values) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(in + sizeof(float));
  const auto step = load<float>(in) / static_cast<float>(codec.levels);
  auto codes = Codes();
  unpack_codes(bytes, values.size(), qsgd_bits(codec), codes);
  level_values(codes.data(), values.size(), step, static_cast<std::int32_t>(codec.levels), values.data());
}

}  // namespace

std::size_t quantized_bytes(const Codec& codec, std::size_t count) {
  switch (codec.quantizer) {
    case Quantizer::none:
      return count * sizeof(float);
    case Quantizer::fp16:
    case Quantizer::bf16:
      return count * sizeof(std::uint16_t);
    case Quantizer::int8:
      return 2 * sizeof(float) + count;
    case Quantizer::int4:
      return 2 * sizeof(float) + (count + 1) / 2;
    case Quantizer::qsgd:
      return sizeof(float) + (count * qsgd_bits(codec) + 7) / 8;
    case Quantizer::sign:
      return sizeof(float) + (count + 7) / 8;
  }
  return 0;
}

std::uint64_t quantized_bytes_of_all(const Codec& codec, std::uint64_t count) {
  const auto rest = static_cast<std::size_t>(count % kQuantizedBlock);
  return count / kQuantizedBlock * quantized_bytes(codec, kQuantizedBlock) +
         (rest > 0 ? quantized_bytes(codec, rest) : 0);
}

void quantize_block(const Codec& codec, std::span<const float> values, Rounding rounding,
                    std::uint64_t block_seed, std::byte* out) {
  if (values.empty()) return;
  const auto key = static_cast<std::uint32_t>(block_seed ^ block_seed >> 32);
  auto* bytes = reinterpret_cast<std::uint8_t*>(out);
  switch (codec.quantizer) {
    case Quantizer::none:
      std::memcpy(out, values.data(), values.size_bytes());
      return;
    case Quantizer::fp16:
    case Quantizer::bf16: {
      auto halves = std::array<std::uint16_t, kQuantizedBlock>();
      (codec.quantizer == Quantizer::fp16 ? to_fp16 : to_bf16)(values.data(), values.size(), halves.data());
      std::memcpy(out, halves.data(), values.size() * sizeof(std::uint16_t));
      return;
    }
    case Quantizer::int8:
      quantize_affine(values, 255, rounding, key, out, bytes + 2 * sizeof(float));
      return;
    case Quantizer::int4: {
      auto codes = Codes();
      auto* packed = quantize_affine(values, 15, rounding, key, out, codes.data());
      pack_halves(codes.data(), values.size(), reinterpret_cast<std::uint8_t*>(packed));
      return;
    }
    case Quantizer::qsgd:
      quantize_qsgd(codec, values, rounding, key, out);
      return;
    case Quantizer::sign: {
      const auto mean = sum_of_magnitudes(values.data(), values.size()) / static_cast<double>(values.size());
      store(out, static_cast<float>(mean));
      pack_signs(values.data(), values.size(), bytes + sizeof(float));
      return;
    }
  }
}

void dequantize_block(const Codec& codec, const std::byte* in, std::span<float> values) {
  if (values.empty()) return;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(in);
  switch (codec.quantizer) {
    case Quantizer::none:
      std::memcpy(values.data(), in, values.size_bytes());
      return;
    case Quantizer::fp16:
    case Quantizer::bf16: {
      auto halves = std::array<std::uint16_t, kQuantizedBlock>();
      std::memcpy(halves.data(), in, values.size() * sizeof(std::uint16_t));
      (codec.quantizer == Quantizer::fp16 ? from_fp16 : from_bf16)(halves.data(), values.size(),
                                                                   values.data());
      return;
    }
    case Quantizer::int8:
      affine_values(bytes + 2 * sizeof(float), values.size(), load<float>(in),
                    load<float>(in + sizeof(float)), values.data());
      return;
    case Quantizer::int4: {
      auto codes = Codes();
      unpack_halves(bytes + 2 * sizeof(float), values.size(), codes.data());
      affine_values(codes.data(), values.size(), load<float>(in), load<float>(in + sizeof(float)),
                    values.data());
      return;
    }
    case Quantizer::qsgd:
      dequantize_qsgd(codec, in, values);
      return;
    case Quantizer::sign:
      signed_values(bytes + sizeof(float), values.size(), load<float>(in), values.data());
      return;
  }
}

}  // namespace fl
