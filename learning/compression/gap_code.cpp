#include "learning/compression/gap_code.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace fl {

namespace {

constexpr unsigned kMaxParameter = 48;

class BitWriter {
 public:
  explicit BitWriter(GrowingBuffer& out) : out_(out) {}

  /// At most 56 bits.
  void add(std::uint64_t bits, unsigned count) {
    window_ |= bits << filled_;
    for (filled_ += count; filled_ >= 8; filled_ -= 8, window_ >>= 8)
      *out_.extend(1) = static_cast<std::byte>(window_);
  }

  void finish() {
    if (filled_ > 0) *out_.extend(1) = static_cast<std::byte>(window_);
  }

 private:
  GrowingBuffer& out_;
  std::uint64_t window_ = 0;
  unsigned filled_ = 0;  ///< below 8 between two calls
};

class BitReader {
 public:
  explicit BitReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  /// The number of zeros before the next one, which is passed too. More than `most`, or the end: false.
  bool unary(std::uint64_t most, std::uint64_t& zeros) {
    for (zeros = 0;;) {
      fill();
      if (filled_ == 0) return false;
      const auto run = std::min<unsigned>(static_cast<unsigned>(std::countr_zero(window_)), filled_);
      zeros += run;
      if (zeros > most) return false;
      if (run < filled_) {
        drop(run + 1);
        return true;
      }
      drop(run);
    }
  }

  /// At most 56 bits.
  bool bits(unsigned count, std::uint64_t& value) {
    fill();
    if (filled_ < count) return false;
    value = window_ & ((std::uint64_t{1} << count) - 1);
    drop(count);
    return true;
  }

  /// Whether nothing is left but the padding of the last byte.
  bool used_up() const { return next_ == bytes_.size() && filled_ < 8; }

 private:
  void fill() {
    while (filled_ <= 56 && next_ < bytes_.size()) {
      window_ |= std::uint64_t{std::to_integer<std::uint8_t>(bytes_[next_++])} << filled_;
      filled_ += 8;
    }
  }

  void drop(unsigned count) {
    window_ = count < 64 ? window_ >> count : 0;
    filled_ -= count;
  }

  std::span<const std::byte> bytes_;
  std::size_t next_ = 0;
  std::uint64_t window_ = 0;
  unsigned filled_ = 0;
};

/// The parameter under which these gaps take the fewest bits.
unsigned best_parameter(std::span<const std::uint64_t> indices, std::uint64_t previous) {
  const auto cost = [&](unsigned r) {
    auto bits = std::uint64_t{0};
    auto before = previous;
    for (const auto index : indices) {
      bits += (index - before - 1) >> r;
      before = index;
    }
    return bits + indices.size() * (1 + r);
  };
  // The cost has one minimum, near the logarithm of the mean gap.
  const auto mean = (indices.back() - previous - 1) / indices.size();
  auto best = std::min<unsigned>(static_cast<unsigned>(std::bit_width(mean)), kMaxParameter);
  auto least = cost(best);
  while (best > 0) {
    const auto lower = cost(best - 1);
    if (lower > least) break;
    least = lower;
    --best;
  }
  return best;
}

}  // namespace

unsigned encode_gaps(std::span<const std::uint64_t> indices, std::uint64_t previous, GrowingBuffer& out) {
  if (indices.empty()) return 0;
  const auto r = best_parameter(indices, previous);
  auto bits = BitWriter(out);
  for (const auto index : indices) {
    const auto gap = index - previous - 1;
    previous = index;
    auto zeros = gap >> r;
    for (; zeros >= 48; zeros -= 48) bits.add(0, 48);
    bits.add(std::uint64_t{1} << zeros, static_cast<unsigned>(zeros) + 1);
    bits.add(gap & ((std::uint64_t{1} << r) - 1), r);
  }
  bits.finish();
  return r;
}

Result<void> decode_gaps(std::span<const std::byte> code, unsigned r, std::uint64_t previous,
                         std::uint64_t bound, std::span<std::uint64_t> indices) {
  if (r > kMaxParameter) return fail(ec::corrupt_data, "the indices are coded with an impossible parameter");
  auto bits = BitReader(code);
  for (auto& index : indices) {
    auto zeros = std::uint64_t{0};
    auto lower = std::uint64_t{0};
    if (!bits.unary(bound >> r, zeros) || !bits.bits(r, lower))
      return fail(ec::corrupt_data, "the indices end too soon, or lie beyond the model");
    // previous + 1 is in [0, bound], zeros << r at most bound: no overflow below 2^63.
    index = previous + 1 + (zeros << r) + lower;
    if (index >= bound) return fail(ec::corrupt_data, "an index lies beyond the model");
    previous = index;
  }
  if (!bits.used_up()) return fail(ec::corrupt_data, "there are more indices than values");
  return {};
}

}  // namespace fl
