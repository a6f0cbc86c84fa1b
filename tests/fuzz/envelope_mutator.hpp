// Mutation of envelopes (messages/envelope.hpp) that keeps the checksums true, so that what lies behind them
// is reached.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fl::fuzz {

/// Changes the header, as a Protobuf message or as bytes, or the payload, and repairs length and checksums;
/// now and then only the bytes, without repair. The last `trailer_bytes` do not belong to the envelope; they
/// are mutated apart.
std::size_t mutate_envelope(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed,
                            std::size_t trailer_bytes);

}  // namespace fl::fuzz
