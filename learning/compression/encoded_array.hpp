// Arrays as a codec writes them, and back, in one pass and without the whole array in memory twice. Decoding
// trusts nothing: every length, index and number of what a peer sent is checked before it is used.
//
// What the bytes are (before zstd); blocks hold kQuantizedBlock values, the last of an array may hold fewer:
//
//   dense      blocks of values (quantize.hpp)
//   sparse     u64 kept, then for each block: u32 with r in the upper 8 bits and the length of the indices'
//              code in the lower 24, that code (gap_code.hpp), the values (quantize.hpp)
//   random_k   u64 seed, u64 kept, then blocks of values; value i is that of index RandomOrder(d, seed)[i]
//
// All numbers are little-endian.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "learning/compression/byte_stream.hpp"
#include "learning/compression/codec.hpp"
#include "messages/bytes.hpp"
#include "messages/layout.hpp"

namespace fl {

/// A coded array, where it lies: `size_bytes` from byte `offset` of `source`.
struct EncodedArray {
  ByteSourcePtr source;
  std::uint64_t offset = 0;
  std::uint64_t values = 0;  ///< floats when decoded
  std::uint64_t size_bytes = 0;
  Codec codec = {};
};

/// What is said of an update with values that are no numbers, wherever that is found out: `not_finite`.
tl::unexpected<Error> not_finite_update();

/// Writes an array. `layout` says which values are trainable, which alone are left out by sparsifiers, and
/// where the layers of top_k_layer begin. `seed` is that of everything random; without error feedback,
/// rounding is stochastic. Fails with `not_finite` for values that are not finite or beyond kMaxMagnitude.
Result<GrowingBuffer> encode_array(const Codec& codec, const Layout& layout, std::span<const float> values,
                                   std::uint64_t seed);

/// The same for a codec with error feedback: rounds to nearest, and leaves in `values` what the bytes do not
/// say (values − decoded), so that nothing is lost. After a failure `values` has no meaning.
Result<GrowingBuffer> encode_leaving_rest(const Codec& codec, const Layout& layout, std::span<float> values,
                                          std::uint64_t seed);

/// Takes what is decoded, in the order of the bytes. Dense codecs give runs of values, in order and without
/// gaps; sparse ones give values and where they belong, each index once.
struct ArrayVisitor {
  std::function<void(std::uint64_t first_index, std::span<const float> values)> dense;
  std::function<void(std::span<const std::uint64_t> indices, std::span<const float> values)> sparse;
};

/// Calls the visitor for all of the array. Fails with `corrupt_data`, or as ByteSource::read does, having
/// visited what came before. Costs what was sent, not what the array holds.
Result<void> visit_array(const EncodedArray& array, const ArrayVisitor& visitor);

/// Decodes into `out`, which has `array.values` floats; what a sparse codec leaves out is zero.
Result<void> decode_array(const EncodedArray& array, std::span<float> out);

/// values[i] += factor · decoded[i]. Fails like visit_array.
Result<void> add_decoded(const EncodedArray& array, float factor, std::span<float> values);

}  // namespace fl
