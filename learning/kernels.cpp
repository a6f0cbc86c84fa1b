#include "learning/kernels.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <stdexcept>
#include <string>

#include "learning/vectorize.hpp"

namespace fl::kernels {

static_assert(std::endian::native == std::endian::little, "models are stored as little-endian float32");

namespace {

/// Partial sums of one block: enough independent additions to hide their latency.
constexpr std::size_t kLanes = 32;
/// Floats between two looks at whether a value that is not finite was met.
constexpr std::size_t kFiniteBlock = 4'096;
/// A float's exponent: all ones mean infinity or not a number.
constexpr std::uint32_t kExponentBits = 0x7f80'0000;

void require_sizes(std::size_t size, std::initializer_list<std::size_t> others) {
  for (const auto other : others) {
    if (other != size) throw std::invalid_argument("kernels: arrays of different sizes");
  }
}

FL_VECTORIZED bool block_is_finite(const float* values, std::size_t count) {
  std::uint32_t not_finite = 0;
  for (std::size_t i = 0; i < count; ++i) {
    not_finite |= (std::bit_cast<std::uint32_t>(values[i]) & kExponentBits) == kExponentBits ? 1u : 0u;
  }
  return not_finite == 0;
}

FL_VECTORIZED double block_sum_of_squares(const float* values, std::size_t count) {
  std::array<double, kLanes> lanes{};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double value = values[i + lane];
      lanes[lane] += value * value;
    }
  }
  for (std::size_t lane = 0; i + lane < count; ++lane) {
    const double value = values[i + lane];
    lanes[lane] += value * value;
  }
  for (auto width = kLanes / 2; width > 0; width /= 2) {
    for (std::size_t lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  }
  return lanes[0];
}

bool is_aligned(const std::byte* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % alignof(float) == 0;
}

}  // namespace

FL_VECTORIZED void scale_into(std::span<float> sum, std::span<const float> update, float weight) {
  require_sizes(sum.size(), {update.size()});
  auto* s = sum.data();
  const auto* u = update.data();
  FL_ELEMENTWISE
  for (std::size_t i = 0, n = sum.size(); i < n; ++i) s[i] = weight * u[i];
}

FL_VECTORIZED void fold(std::span<float> sum, std::span<const float> update, float weight) {
  require_sizes(sum.size(), {update.size()});
  auto* s = sum.data();
  const auto* u = update.data();
  FL_ELEMENTWISE
  for (std::size_t i = 0, n = sum.size(); i < n; ++i) s[i] += weight * u[i];
}

FL_VECTORIZED void fold_difference(std::span<float> sum, std::span<const float> model,
                                   std::span<const float> base, float weight) {
  require_sizes(sum.size(), {model.size(), base.size()});
  auto* s = sum.data();
  const auto* m = model.data();
  const auto* b = base.data();
  FL_ELEMENTWISE
  for (std::size_t i = 0, n = sum.size(); i < n; ++i) s[i] += weight * (m[i] - b[i]);
}

FL_VECTORIZED void scale_difference_into(std::span<float> sum, std::span<const float> model,
                                         std::span<const float> base, float weight) {
  require_sizes(sum.size(), {model.size(), base.size()});
  auto* s = sum.data();
  const auto* m = model.data();
  const auto* b = base.data();
  FL_ELEMENTWISE
  for (std::size_t i = 0, n = sum.size(); i < n; ++i) s[i] = weight * (m[i] - b[i]);
}

FL_VECTORIZED void subtract(std::span<float> out, std::span<const float> a, std::span<const float> b) {
  require_sizes(out.size(), {a.size(), b.size()});
  auto* o = out.data();
  const auto* minuend = a.data();
  const auto* subtrahend = b.data();
  FL_ELEMENTWISE
  for (std::size_t i = 0, n = out.size(); i < n; ++i) o[i] = minuend[i] - subtrahend[i];
}

FL_VECTORIZED void add_scaled(std::span<float> out, std::span<const float> x, std::span<const float> d,
                              float scale) {
  require_sizes(out.size(), {x.size(), d.size()});
  auto* o = out.data();
  const auto* from = x.data();
  const auto* delta = d.data();
  FL_ELEMENTWISE
  for (std::size_t i = 0, n = out.size(); i < n; ++i) o[i] = from[i] + scale * delta[i];
}

bool all_finite(std::span<const float> values) {
  for (std::size_t first = 0; first < values.size(); first += kFiniteBlock) {
    const auto count = std::min(kFiniteBlock, values.size() - first);
    if (!block_is_finite(values.data() + first, count)) return false;
  }
  return true;
}

double sum_of_squares(std::span<const float> values) {
  double sum = 0;
  for (std::size_t first = 0; first < values.size(); first += kVisitBlock) {
    const auto count = std::min(kVisitBlock, values.size() - first);
    sum += block_sum_of_squares(values.data() + first, count);
  }
  return sum;
}

Result<void> visit_floats(
    const ByteSource& source, std::uint64_t offset, std::uint64_t count,
    const std::function<void(std::uint64_t first_index, std::span<const float> values)>& visit) {
  if (offset > source.size() || count > (source.size() - offset) / sizeof(float)) {
    return fail(ec::corrupt_data, std::to_string(count) + " floats from byte " + std::to_string(offset) +
                                      " do not lie within " + std::to_string(source.size()) + " bytes");
  }
  const auto block_at = [count](std::uint64_t first) {
    return static_cast<std::size_t>(std::min<std::uint64_t>(kVisitBlock, count - first));
  };

  const auto view = source.view();
  if (!view.empty() && is_aligned(view.data() + offset)) {
    const auto* values = reinterpret_cast<const float*>(view.data() + offset);
    for (std::uint64_t first = 0; first < count; first += kVisitBlock) {
      visit(first, {values + first, block_at(first)});
    }
    return {};
  }

  auto buffer = AlignedBuffer(block_at(0) * sizeof(float));
  const auto* values = reinterpret_cast<const float*>(buffer.data());
  for (std::uint64_t first = 0; first < count; first += kVisitBlock) {
    const auto size = block_at(first);
    auto read = source.read(offset + first * sizeof(float), buffer.span().first(size * sizeof(float)));
    if (!read) return read;
    visit(first, {values, size});
  }
  return {};
}

}  // namespace fl::kernels
