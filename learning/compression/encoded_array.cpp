#include "learning/compression/encoded_array.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "learning/compression/byte_stream.hpp"
#include "learning/compression/gap_code.hpp"
#include "learning/compression/quantize.hpp"
#include "learning/compression/selection.hpp"
#include "learning/kernels.hpp"
#include "learning/random.hpp"
#include "learning/vectorize.hpp"

namespace fl {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie in memory");

namespace {

constexpr std::uint64_t kNoIndex = ~std::uint64_t{0};
constexpr std::uint32_t kMaxGapCode_bytes = (1u << 24) - 1;

using Block = std::array<float, kQuantizedBlock>;

/// Also of what is infinite or not a number.
FL_VECTORIZED bool any_too_large(const float* values, std::size_t count) {
  constexpr auto kLimit = std::bit_cast<std::uint32_t>(kMaxMagnitude);
  auto any = 0u;
  for (std::size_t i = 0; i < count; ++i)
    any |= (std::bit_cast<std::uint32_t>(values[i]) & 0x7fff'ffff) > kLimit ? 1u : 0u;
  return any != 0;
}

std::uint64_t share_of(double ratio, std::uint64_t size) {
  const auto count = static_cast<std::uint64_t>(std::llround(ratio * static_cast<double>(size)));
  return std::clamp<std::uint64_t>(count, size > 0 ? 1 : 0, size);
}

// -- Encoding -----------------------------------------------------------------------------------------------

/// One array on its way to bytes.
class Encoder {
 public:
  /// `rest`: null, or where the values lie and what is left of them shall be.
  Encoder(const Codec& codec, const Layout& layout, std::span<const float> values, float* rest,
          std::uint64_t seed)
      : codec_(codec), layout_(layout), values_(values), rest_(rest), seed_(seed), block_seeds_(seed) {
    rounding_ = rest ? Rounding::nearest : Rounding::stochastic;
  }

  Result<GrowingBuffer> encode() && {
    auto done = codec_.sparsifier == Sparsifier::none       ? dense()
                : codec_.sparsifier == Sparsifier::random_k ? random_part()
                                                            : sparse(kept());
    if (!done) return tl::unexpected(done.error());
    if (codec_.zstd > 0) return zstd_compressed(out_.span(), codec_.zstd);
    return std::move(out_);
  }

 private:
  Result<void> dense() {
    out_.reserve(quantized_bytes_of_all(codec_, values_.size()));
    for (std::size_t first = 0; first < values_.size(); first += kQuantizedBlock) {
      const auto block = values_.subspan(first, std::min(kQuantizedBlock, values_.size() - first));
      const auto* bytes = quantize(block);
      if (bytes == nullptr) return not_finite_update();
      if (rest_ == nullptr) continue;
      auto decoded = Block();
      const auto known = std::span(decoded).first(block.size());
      dequantize_block(codec_, bytes, known);
      const auto target = std::span(rest_ + first, block.size());
      kernels::subtract(target, block, known);
    }
    return {};
  }

  Result<void> sparse(const std::vector<std::uint64_t>& indices) {
    append(std::uint64_t{indices.size()});
    auto previous = kNoIndex;
    for (std::size_t first = 0; first < indices.size(); first += kQuantizedBlock) {
      const auto block = std::span(indices).subspan(first, std::min(kQuantizedBlock, indices.size() - first));
      const auto head = out_.size();
      append(std::uint32_t{0});
      const auto r = encode_gaps(block, previous, out_);
      previous = block.back();
      const auto gaps = static_cast<std::uint32_t>(out_.size() - head - sizeof(std::uint32_t)) | r << 24;
      std::memcpy(out_.data() + head, &gaps, sizeof gaps);
      if (!quantize_at(block, 1)) return not_finite_update();
    }
    return {};
  }

  Result<void> random_part() {
    const auto size = values_.size();
    const auto count = share_of(codec_.ratio, size);
    append(seed_);
    append(count);
    if (count == 0) return {};
    const auto order = RandomOrder(size, seed_);
    const auto scale = static_cast<float>(static_cast<double>(size) / static_cast<double>(count));
    auto indices = std::array<std::uint64_t, kQuantizedBlock>();
    for (std::uint64_t first = 0; first < count; first += kQuantizedBlock) {
      const auto block = std::span(indices).first(std::min<std::uint64_t>(kQuantizedBlock, count - first));
      for (std::size_t i = 0; i < block.size(); ++i) block[i] = order[first + i];
      if (!quantize_at(block, scale)) return not_finite_update();
    }
    return {};
  }

  /// The values at these indices, times `scale`.
  bool quantize_at(std::span<const std::uint64_t> indices, float scale) {
    auto gathered = Block();
    const auto block = std::span(gathered).first(indices.size());
    for (std::size_t i = 0; i < indices.size(); ++i) block[i] = scale * values_[indices[i]];
    const auto* bytes = quantize(block);
    if (bytes == nullptr) return false;
    if (rest_ == nullptr) return true;
    auto decoded = Block();
    dequantize_block(codec_, bytes, std::span(decoded).first(block.size()));
    for (std::size_t i = 0; i < indices.size(); ++i) rest_[indices[i]] = block[i] - decoded[i];
    return true;
  }

  /// Where the bytes are; null when the values are too large.
  const std::byte* quantize(std::span<const float> block) {
    if (any_too_large(block.data(), block.size())) return nullptr;
    auto* const bytes = out_.extend(quantized_bytes(codec_, block.size()));
    quantize_block(codec_, block, rounding_, block_seeds_(), bytes);
    return bytes;
  }

  std::vector<std::uint64_t> kept() const {
    if (codec_.sparsifier == Sparsifier::prune) return nonzero(values_);
    if (codec_.sparsifier == Sparsifier::top_k_layer) return kept_of_layers();
    auto trainable = std::uint64_t{0};
    for (const auto& entry : layout_.entries())
      if (entry.kind == EntryKind::trainable) trainable += entry.size;
    const auto count = share_of(codec_.ratio, trainable);
    if (trainable == values_.size()) return largest_magnitudes(values_, count);
    auto without_buffers = std::vector<float>(values_.begin(), values_.end());
    auto indices = std::vector<std::uint64_t>();
    for (const auto& entry : layout_.entries()) {
      if (entry.kind == EntryKind::trainable) continue;
      add_nonzero(entry, indices);
      std::fill_n(without_buffers.begin() + static_cast<std::ptrdiff_t>(entry.offset), entry.size, 0.0f);
    }
    const auto largest = largest_magnitudes(without_buffers, count);
    const auto middle = static_cast<std::ptrdiff_t>(indices.size());
    indices.insert(indices.end(), largest.begin(), largest.end());
    std::inplace_merge(indices.begin(), indices.begin() + middle, indices.end());
    return indices;
  }

  std::vector<std::uint64_t> kept_of_layers() const {
    auto indices = std::vector<std::uint64_t>();
    for (const auto& entry : layout_.entries()) {
      if (entry.kind != EntryKind::trainable) {
        add_nonzero(entry, indices);
        continue;
      }
      for (const auto index :
           largest_magnitudes(values_.subspan(entry.offset, entry.size), share_of(codec_.ratio, entry.size)))
        indices.push_back(entry.offset + index);
    }
    return indices;
  }

  void add_nonzero(const LayoutEntry& entry, std::vector<std::uint64_t>& indices) const {
    for (const auto index : nonzero(values_.subspan(entry.offset, entry.size)))
      indices.push_back(entry.offset + index);
  }

  template <class T>
  void append(T number) {
    out_.add(std::as_bytes(std::span(&number, 1)));
  }

  const Codec& codec_;
  const Layout& layout_;
  std::span<const float> values_;
  float* rest_;
  std::uint64_t seed_;
  RandomStream block_seeds_;
  Rounding rounding_ = Rounding::stochastic;
  GrowingBuffer out_;
};

// -- Decoding -----------------------------------------------------------------------------------------------

template <class T>
Result<T> read_number(SequentialReader& reader) {
  const auto bytes = reader.next(sizeof(T));
  if (!bytes) return tl::unexpected(bytes.error());
  auto number = T();
  std::memcpy(&number, bytes->data(), sizeof number);
  return number;
}

Result<void> read_values(SequentialReader& reader, const Codec& codec, std::span<float> values) {
  const auto bytes = reader.next(quantized_bytes(codec, values.size()));
  if (!bytes) return tl::unexpected(bytes.error());
  dequantize_block(codec, bytes->data(), values);
  return {};
}

Result<std::uint64_t> read_count(SequentialReader& reader, std::uint64_t size) {
  const auto count = read_number<std::uint64_t>(reader);
  if (!count || *count <= size) return count;
  return fail(ec::corrupt_data,
              "the update claims " + std::to_string(*count) + " values of " + std::to_string(size));
}

Result<void> visit_dense(SequentialReader& reader, const EncodedArray& array, const ArrayVisitor& visitor) {
  auto buffer = AlignedBuffer(
      static_cast<std::size_t>(std::min<std::uint64_t>(kernels::kVisitBlock, array.values) * sizeof(float)));
  const auto all = std::span(reinterpret_cast<float*>(buffer.data()), buffer.size() / sizeof(float));
  for (std::uint64_t first = 0; first < array.values; first += all.size()) {
    const auto run =
        all.first(static_cast<std::size_t>(std::min<std::uint64_t>(all.size(), array.values - first)));
    for (std::size_t begin = 0; begin < run.size(); begin += kQuantizedBlock) {
      const auto block = run.subspan(begin, std::min(kQuantizedBlock, run.size() - begin));
      if (auto ok = read_values(reader, array.codec, block); !ok) return ok;
    }
    visitor.dense(first, run);
  }
  return {};
}

Result<void> visit_sparse(SequentialReader& reader, const EncodedArray& array, const ArrayVisitor& visitor) {
  const auto count = read_count(reader, array.values);
  if (!count) return tl::unexpected(count.error());
  auto values = Block();
  auto indices = std::array<std::uint64_t, kQuantizedBlock>();
  auto previous = kNoIndex;
  for (std::uint64_t first = 0; first < *count; first += kQuantizedBlock) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kQuantizedBlock, *count - first));
    const auto gaps = read_number<std::uint32_t>(reader);
    if (!gaps) return tl::unexpected(gaps.error());
    const auto code = reader.next(*gaps & kMaxGapCode_bytes);
    if (!code) return tl::unexpected(code.error());
    const auto block = std::span(indices).first(size);
    if (auto ok = decode_gaps(*code, *gaps >> 24, previous, array.values, block); !ok) return ok;
    previous = block.back();
    if (auto ok = read_values(reader, array.codec, std::span(values).first(size)); !ok) return ok;
    visitor.sparse(block, std::span(values).first(size));
  }
  return {};
}

Result<void> visit_random(SequentialReader& reader, const EncodedArray& array, const ArrayVisitor& visitor) {
  const auto seed = read_number<std::uint64_t>(reader);
  if (!seed) return tl::unexpected(seed.error());
  const auto count = read_count(reader, array.values);
  if (!count) return tl::unexpected(count.error());
  if (*count == 0) return {};
  const auto order = RandomOrder(array.values, *seed);
  auto values = Block();
  auto indices = std::array<std::uint64_t, kQuantizedBlock>();
  for (std::uint64_t first = 0; first < *count; first += kQuantizedBlock) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kQuantizedBlock, *count - first));
    for (std::size_t i = 0; i < size; ++i) indices[i] = order[first + i];
    if (auto ok = read_values(reader, array.codec, std::span(values).first(size)); !ok) return ok;
    visitor.sparse(std::span(indices).first(size), std::span(values).first(size));
  }
  return {};
}

}  // namespace

tl::unexpected<Error> not_finite_update() {
  return fail(ec::not_finite,
              "the update holds values that are not finite numbers; "
              "a lower train.learning_rate keeps training from diverging");
}

Result<GrowingBuffer> encode_array(const Codec& codec, const Layout& layout, std::span<const float> values,
                                   std::uint64_t seed) {
  return Encoder(codec, layout, values, nullptr, seed).encode();
}

Result<GrowingBuffer> encode_leaving_rest(const Codec& codec, const Layout& layout, std::span<float> values,
                                          std::uint64_t seed) {
  return Encoder(codec, layout, values, values.data(), seed).encode();
}

Result<void> visit_array(const EncodedArray& array, const ArrayVisitor& visitor) {
  if (array.offset > array.source->size() || array.size_bytes > array.source->size() - array.offset)
    return fail(ec::corrupt_data, "the coded values do not lie within the bytes");
  if (array.codec.is_none())
    return kernels::visit_floats(*array.source, array.offset, array.values, visitor.dense);
  auto reader = SequentialReader(*array.source, array.offset, array.size_bytes, array.codec.zstd > 0);
  const auto visit = array.codec.sparsifier == Sparsifier::none       ? visit_dense
                     : array.codec.sparsifier == Sparsifier::random_k ? visit_random
                                                                      : visit_sparse;
  if (auto ok = visit(reader, array, visitor); !ok) return ok;
  return reader.finish();
}

Result<void> decode_array(const EncodedArray& array, std::span<float> out) {
  if (array.codec.is_sparse()) std::ranges::fill(out, 0.0f);
  auto visitor = ArrayVisitor();
  visitor.dense = [&](std::uint64_t first, std::span<const float> values) {
    std::ranges::copy(values, out.begin() + static_cast<std::ptrdiff_t>(first));
  };
  visitor.sparse = [&](std::span<const std::uint64_t> indices, std::span<const float> values) {
    for (std::size_t i = 0; i < indices.size(); ++i) out[indices[i]] = values[i];
  };
  return visit_array(array, visitor);
}

Result<void> add_decoded(const EncodedArray& array, float factor, std::span<float> values) {
  auto visitor = ArrayVisitor();
  visitor.dense = [&](std::uint64_t first, std::span<const float> decoded) {
    kernels::fold(values.subspan(first, decoded.size()), decoded, factor);
  };
  visitor.sparse = [&](std::span<const std::uint64_t> indices, std::span<const float> decoded) {
    for (std::size_t i = 0; i < indices.size(); ++i) values[indices[i]] += factor * decoded[i];
  };
  return visit_array(array, visitor);
}

}  // namespace fl
