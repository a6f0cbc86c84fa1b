// A model's numbers: one flat, 64-byte-aligned float32 array with a layout beside it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "messages/bytes.hpp"
#include "messages/layout.hpp"

namespace fl {

/// The values of one model in the order of its layout. Moves; copies only by `clone`.
class Parameters {
 public:
  Parameters() = default;

  /// Uninitialised values.
  explicit Parameters(LayoutPtr layout);

  static Parameters zeros(LayoutPtr layout);
  Parameters clone() const;

  const LayoutPtr& layout() const { return layout_; }
  std::size_t size() const { return layout_ ? layout_->size() : 0; }

  std::span<float> values() { return {reinterpret_cast<float*>(buffer_.data()), size()}; }
  std::span<const float> values() const { return {reinterpret_cast<const float*>(buffer_.data()), size()}; }

  /// The values of one tensor of the layout.
  std::span<float> values_of(const LayoutEntry& entry) { return values().subspan(entry.offset, entry.size); }
  std::span<const float> values_of(const LayoutEntry& entry) const {
    return values().subspan(entry.offset, entry.size);
  }

  std::span<const std::byte> bytes() const { return buffer_.span(); }

  /// SHA-256 over the float32 values, little-endian, as 64 hexadecimal digits: `model_sha256` of
  /// summary.json.
  std::string sha256() const;

 private:
  LayoutPtr layout_;
  AlignedBuffer buffer_;
};

/// XXH3-64 of the values: two nodes see by it whether they hold the same model.
std::uint64_t values_hash_of(const Parameters& parameters);

/// An immutable model, shared and never copied.
using ParametersPtr = std::shared_ptr<const Parameters>;

}  // namespace fl
