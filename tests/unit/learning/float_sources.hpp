// Updates as byte sources: in memory, and as a file would give them.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "learning/aggregation/aggregation.hpp"
#include "messages/bytes.hpp"

namespace fl::testing {

inline AlignedBuffer bytes_of(std::span<const float> values) {
  auto buffer = AlignedBuffer(values.size_bytes());
  if (!values.empty()) std::memcpy(buffer.data(), values.data(), values.size_bytes());
  return buffer;
}

/// Without a view, like a file. Reading anything at or beyond byte `fails_at` fails with `io_failed`.
class FileLikeSource final : public ByteSource {
 public:
  explicit FileLikeSource(std::span<const float> values,
                          std::uint64_t fails_at = std::numeric_limits<std::uint64_t>::max())
      : memory_(bytes_of(values)), fails_at_(fails_at) {}

  std::uint64_t size() const override { return memory_.size(); }

  Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset + out.size() > fails_at_) return fail(ec::io_failed, "the disk is gone");
    return memory_.read(offset, out);
  }

 private:
  MemorySource memory_;
  std::uint64_t fails_at_;
};

inline EncodedArray in_memory(std::span<const float> values) {
  return {std::make_shared<MemorySource>(bytes_of(values)), 0, values.size()};
}

inline EncodedArray in_file(std::span<const float> values) {
  return {std::make_shared<FileLikeSource>(values), 0, values.size()};
}

inline LayoutPtr flat_layout(std::size_t size) {
  auto layout = std::make_shared<Layout>();
  layout->add("flat", {static_cast<std::int64_t>(size)});
  return layout;
}

inline ParametersPtr model_of(const LayoutPtr& layout, std::span<const float> values) {
  auto parameters = Parameters(layout);
  std::ranges::copy(values, parameters.values().begin());
  return std::make_shared<const Parameters>(std::move(parameters));
}

inline ParametersPtr flat_model(const std::vector<float>& values) {
  return model_of(flat_layout(values.size()), values);
}

inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

}  // namespace fl::testing
