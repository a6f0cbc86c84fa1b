#include "learning/compression/byte_planes.hpp"

#include <algorithm>
#include <bit>
#include <vector>

#include "learning/vectorize.hpp"

namespace fl {

namespace {

constexpr std::size_t kPlaneBlock = 65'536;
/// Fast: higher levels find little more in floats.
constexpr std::uint32_t kPlaneZstd = 1;

inline std::uint32_t bits_at(const float* values, std::size_t i) {
  return std::bit_cast<std::uint32_t>(values[i]);
}

FL_VECTORIZED void split(const float* values, std::size_t count, std::uint8_t* planes) {
  for (unsigned byte = 0; byte < 4; ++byte) {
    auto* plane = planes + byte * count;
    FL_ELEMENTWISE
    for (std::size_t i = 0; i < count; ++i)
      plane[i] = static_cast<std::uint8_t>(bits_at(values, i) >> (8 * byte));
  }
}

FL_VECTORIZED void split_against(const float* values, const float* held, std::size_t count,
                                 std::uint8_t* planes) {
  for (unsigned byte = 0; byte < 4; ++byte) {
    auto* plane = planes + byte * count;
    FL_ELEMENTWISE
    for (std::size_t i = 0; i < count; ++i)
      plane[i] = static_cast<std::uint8_t>((bits_at(values, i) ^ bits_at(held, i)) >> (8 * byte));
  }
}

FL_VECTORIZED void join(const std::uint8_t* planes, std::size_t count, float* out) {
  FL_ELEMENTWISE
  for (std::size_t i = 0; i < count; ++i)
    out[i] = std::bit_cast<float>(std::uint32_t{planes[i]} | std::uint32_t{planes[count + i]} << 8 |
                                  std::uint32_t{planes[2 * count + i]} << 16 |
                                  std::uint32_t{planes[3 * count + i]} << 24);
}

FL_VECTORIZED void join_onto(const std::uint8_t* planes, std::size_t count, const float* held, float* out) {
  FL_ELEMENTWISE
  for (std::size_t i = 0; i < count; ++i)
    out[i] = std::bit_cast<float>(bits_at(held, i) ^
                                  (std::uint32_t{planes[i]} | std::uint32_t{planes[count + i]} << 8 |
                                   std::uint32_t{planes[2 * count + i]} << 16 |
                                   std::uint32_t{planes[3 * count + i]} << 24));
}

}  // namespace

GrowingBuffer encode_planes(std::span<const float> values, std::span<const float> held) {
  auto frame = ZstdWriter(kPlaneZstd);
  auto planes = std::vector<std::uint8_t>(4 * std::min(kPlaneBlock, values.size()));
  for (std::size_t first = 0; first < values.size(); first += kPlaneBlock) {
    const auto count = std::min(kPlaneBlock, values.size() - first);
    if (held.empty())
      split(values.data() + first, count, planes.data());
    else
      split_against(values.data() + first, held.data() + first, count, planes.data());
    frame.add(std::as_bytes(std::span(planes).first(4 * count)));
  }
  return std::move(frame).finish();
}

Result<void> decode_planes(const ByteSource& source, std::uint64_t offset, std::uint64_t size,
                           std::span<const float> held, std::span<float> out) {
  if (offset > source.size() || size > source.size() - offset)
    return fail(ec::corrupt_data, "the coded model does not lie within the bytes");
  auto reader = SequentialReader(source, offset, size, true);
  for (std::size_t first = 0; first < out.size(); first += kPlaneBlock) {
    const auto count = std::min(kPlaneBlock, out.size() - first);
    const auto bytes = reader.next(4 * count);
    if (!bytes) return tl::unexpected(bytes.error());
    const auto* planes = reinterpret_cast<const std::uint8_t*>(bytes->data());
    if (held.empty())
      join(planes, count, out.data() + first);
    else
      join_onto(planes, count, held.data() + first, out.data() + first);
  }
  return reader.finish();
}

}  // namespace fl
