// Ascending indices in few bits: the gaps between neighbours, Rice-coded (Golomb 1966; Rice 1971), which for
// gaps of a random draw is within 0.03 bits of the entropy: about 8 bits an index at one in a hundred,
// instead of 32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "learning/compression/byte_stream.hpp"
#include "messages/errors.hpp"

namespace fl {

/// Appends the code of ascending indices to `out`; `previous` is the index before the first, or
/// ~std::uint64_t{0} when there is none. Returns the parameter r: of each gap, minus one, the lower r bits
/// stand as they are, behind the rest in unary. The first bit is the lowest of the first byte.
unsigned encode_gaps(std::span<const std::uint64_t> indices, std::uint64_t previous, GrowingBuffer& out);

/// The inverse: fills `indices`. Fails with `corrupt_data` when the bytes end too soon, are not used up, or
/// an index is not below `bound`.
Result<void> decode_gaps(std::span<const std::byte> code, unsigned r, std::uint64_t previous,
                         std::uint64_t bound, std::span<std::uint64_t> indices);

}  // namespace fl
