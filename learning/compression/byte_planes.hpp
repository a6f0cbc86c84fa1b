// Lossless coding of models: the bytes of equal weight of many floats stand together, then zstd finds what
// repeats. Signs and exponents of neighbours are alike, so about a tenth is saved; against an earlier
// version, whose bits are XORed away first, more: what training did not move are zeros.
//
// XOR, not subtraction: a difference of floats is rounded, and does not lead back to the same bits.
#pragma once

#include <cstdint>
#include <span>

#include "learning/compression/byte_stream.hpp"
#include "messages/bytes.hpp"
#include "messages/errors.hpp"

namespace fl {

/// Codes `values`; `held`: what the reader has, of the same size, or empty.
///
/// A zstd frame over blocks of 65,536 values (the last may be shorter), each as four planes of a byte a
/// value, the least significant first.
GrowingBuffer encode_planes(std::span<const float> values, std::span<const float> held);

/// The inverse, from [offset, offset + size) of `source`, bit for bit; `out` may be `held`. Fails with
/// `corrupt_data`, or as ByteSource::read does.
Result<void> decode_planes(const ByteSource& source, std::uint64_t offset, std::uint64_t size,
                           std::span<const float> held, std::span<float> out);

}  // namespace fl
