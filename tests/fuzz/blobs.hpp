// Blobs as a peer would send them, and sources that show them in different ways.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "learning/aggregation/validation.hpp"
#include "learning/published_model.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/support/small_state.hpp"

namespace fl::fuzz {

/// In memory, of exactly the input's size.
inline ByteSourcePtr in_memory(Input input) {
  auto buffer = AlignedBuffer(input.size());
  if (!input.empty()) std::memcpy(buffer.data(), input.data(), input.size());
  return std::make_shared<const MemorySource>(std::move(buffer));
}

/// The same bytes, to be read in parts only, like a file.
class PartsSource final : public ByteSource {
 public:
  explicit PartsSource(ByteSourcePtr whole) : whole_(std::move(whole)) {}
  std::uint64_t size() const override { return whole_->size(); }
  Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override {
    return whole_->read(offset, out);
  }

 private:
  ByteSourcePtr whole_;
};

inline std::vector<std::uint8_t> bytes_of(const ByteSource& source) {
  auto bytes = std::vector<std::uint8_t>(source.size());
  require(source.read(0, std::as_writable_bytes(std::span(bytes))).has_value(), "a seed can be read");
  return bytes;
}

/// The layout that every target expects.
inline const LayoutPtr& expected_layout() {
  static const auto layout = test::small_layout();
  return layout;
}

/// What the seeds answer.
inline UpdateInfo example_info() {
  auto info = UpdateInfo();
  info.task = 7;
  info.epoch = 2;
  info.client = 3;
  info.base = 5;
  info.samples = 10;
  info.steps = 4;
  info.train_loss = 0.5;
  info.train_seconds = 1.5;
  info.base_evaluation = {5, 4, 0.25, 0.75};
  return info;
}

inline std::vector<std::uint8_t> example_update(bool whole_model) {
  auto blob = make_update_blob(example_info(), *expected_layout(), whole_model);
  std::ranges::fill(blob.values(), 0.5f);
  return bytes_of(MemorySource(std::move(blob.buffer)));
}

inline std::vector<std::uint8_t> coded_update(const char* name) {
  const auto codec = parse_codec(name).value();
  const auto values = test::counting(expected_layout(), -9);
  const auto coded = encode_array(codec, *expected_layout(), values.values(), 1).value();
  return bytes_of(
      MemorySource(make_update_blob(example_info(), *expected_layout(), codec, coded.span()).buffer));
}

inline std::vector<std::uint8_t> example_evaluation() {
  return bytes_of(MemorySource(make_evaluation_blob(example_info(), *expected_layout()).buffer));
}

inline std::vector<std::uint8_t> example_model() {
  const auto parameters = std::make_shared<const Parameters>(test::counting(expected_layout(), 1));
  return bytes_of(PublishedModel(7, parameters));
}

}  // namespace fl::fuzz
