// Values in fewer bits, block by block: each block of kQuantizedBlock values (the last may be shorter) has
// the numbers it needs in front of its codes. Elementwise and vectorised; the same bits on every machine.
//
//   none   count × f32
//   fp16, bf16   count × u16
//   int8   f32 low, f32 step, count × u8              value = low + step · code
//   int4   f32 low, f32 step, ⌈count / 2⌉ × u8: code i in the lower half of byte i, code i + ⌈count / 2⌉ in
//          the upper half
//   qsgd   f32 norm, codes of ⌈log2(2 S + 1)⌉ bits, the first in the lowest bits: value = norm · (code − S) /
//   S sign   f32 scale, ⌈count / 8⌉ × u8: bit i % 8 of byte i / 8 is set where the value is negative
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "learning/compression/codec.hpp"

namespace fl {

/// Values of a block.
inline constexpr std::size_t kQuantizedBlock = 1024;

/// Magnitudes above this are refused (`not_finite`), so that no difference of two values is infinite.
inline constexpr float kMaxMagnitude = 1e38f;

enum class Rounding : std::uint8_t {
  stochastic,  ///< up or down at random, so that the mean is the value itself: int8, int4, qsgd
  nearest,     ///< the least error; for what is rounded off being added to the next array
};

/// Bytes of `count` values of one block, at most kQuantizedBlock.
std::size_t quantized_bytes(const Codec& codec, std::size_t count);

/// Bytes of `count` values in as many blocks as they need.
std::uint64_t quantized_bytes_of_all(const Codec& codec, std::uint64_t count);

/// Writes quantized_bytes(codec, values.size()) bytes. The values are finite and at most kMaxMagnitude.
/// `block_seed` decides how this block is rounded.
void quantize_block(const Codec& codec, std::span<const float> values, Rounding rounding,
                    std::uint64_t block_seed, std::byte* out);

/// The inverse, for any bytes: what they say may be infinite or not a number.
void dequantize_block(const Codec& codec, const std::byte* in, std::span<float> values);

}  // namespace fl
