// The properties that the definitions promise, for every codec.
#include "learning/compression/encoded_array.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "learning/compression/gap_code.hpp"
#include "learning/compression/quantize.hpp"
#include "learning/compression/selection.hpp"
#include "learning/random.hpp"
#include "tests/support/small_state.hpp"
#include "tests/unit/learning/float_sources.hpp"

using namespace fl;
using fl::testing::flat_layout;
using Floats = std::vector<float>;

namespace {

const auto kAll = {"none",
                   "fp16",
                   "bf16",
                   "int8",
                   "int4",
                   "qsgd:127",
                   "qsgd:7",
                   "qsgd:1",
                   "sign",
                   "zstd",
                   "int8+zstd",
                   "top_k:0.1",
                   "top_k:0.1+int8+zstd",
                   "top_k_layer:0.2+bf16",
                   "top_k:1",
                   "top_k:0.05+sign",
                   "random_k:0.1",
                   "random_k:0.3+int8",
                   "prune",
                   "prune+int4",
                   "random_k:1",
                   "qsgd:3+zstd"};

Floats normal_values(std::size_t size, std::uint64_t seed) {
  auto random = RandomStream(seed);
  auto values = Floats(size);
  for (auto& value : values) value = static_cast<float>(random.normal());
  return values;
}

class FileLikeBytes final : public ByteSource {
 public:
  explicit FileLikeBytes(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  std::uint64_t size() const override { return bytes_.size(); }
  Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset)
      return fail(ec::corrupt_data, "beyond the end");
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return {};
  }

 private:
  std::vector<std::byte> bytes_;
};

EncodedArray as_file(std::vector<std::byte> bytes, std::uint64_t values, const Codec& codec) {
  const auto size = bytes.size();
  return {std::make_shared<const FileLikeBytes>(std::move(bytes)), 0, values, size, codec};
}

EncodedArray as_memory(std::span<const std::byte> bytes, std::uint64_t values, const Codec& codec) {
  auto buffer = AlignedBuffer(bytes.size());
  copy_bytes(bytes, buffer.data());
  return {std::make_shared<const MemorySource>(std::move(buffer)), 0, values, bytes.size(), codec};
}

EncodedArray encoded(const Codec& codec, std::span<const float> values, std::uint64_t seed) {
  const auto bytes = encode_array(codec, *flat_layout(values.size()), values, seed).value();
  return as_memory(bytes.span(), values.size(), codec);
}

Floats decoded(const EncodedArray& array) {
  auto values = Floats(array.values);
  const auto ok = decode_array(array, values);
  REQUIRE_MESSAGE(ok.has_value(), (ok ? "" : ok.error().text));
  return values;
}

double squared(std::span<const float> values) {
  auto sum = 0.0;
  for (const double value : values) sum += value * value;
  return sum;
}

Codec codec_of(const char* name) {
  return parse_codec(name).value();
}

}  // namespace

TEST_SUITE("encoded arrays") {
  TEST_CASE("every codec gives back its own output, from memory as from a file, for any size") {
    for (const auto* name : kAll)
      for (const auto size : {1u, 2u, 7u, 8u, 1023u, 1024u, 1025u, 5000u, 70'000u}) {
        CAPTURE(name);
        CAPTURE(size);
        const auto codec = codec_of(name);
        const auto values = normal_values(size, size);
        const auto array = encoded(codec, values, 3);
        const auto once = decoded(array);
        auto bytes = std::vector<std::byte>(array.size_bytes);
        REQUIRE(array.source->read(0, bytes));
        CHECK(decoded(as_file(bytes, size, codec)) == once);
        CHECK(decoded(encoded(codec, values, 3)) == once);  // the same seed, the same bytes
        if (!codec.is_lossy()) CHECK(fl::testing::same_bits(once, values));
        // What was decoded is what these codecs can say: said again, it stays.
        if (codec.quantizer == Quantizer::none || codec.quantizer == Quantizer::fp16 ||
            codec.quantizer == Quantizer::bf16)
          if (codec.sparsifier != Sparsifier::random_k)
            CHECK(fl::testing::same_bits(decoded(encoded(codec, once, 4)), once));
        auto sum = Floats(size, 1.0f);
        REQUIRE(add_decoded(array, 2, sum));
        for (std::size_t i = 0; i < size; ++i) REQUIRE(sum[i] == 1.0f + 2.0f * once[i]);
      }
  }

  TEST_CASE("stochastic codecs are right on average") {
    constexpr std::size_t kSize = 1500;
    constexpr int kSeeds = 400;
    const auto values = normal_values(kSize, 1);
    for (const auto* name :
         {"int8", "int4", "qsgd:127", "qsgd:7", "qsgd:1", "random_k:0.1", "random_k:0.3+int8", "int4+zstd"}) {
      CAPTURE(name);
      auto mean = std::vector<double>(kSize);
      auto error = 0.0;
      for (auto seed = 0; seed < kSeeds; ++seed) {
        const auto once = decoded(encoded(codec_of(name), values, static_cast<std::uint64_t>(seed)));
        for (std::size_t i = 0; i < kSize; ++i) {
          mean[i] += static_cast<double>(once[i]) / kSeeds;
          error += (static_cast<double>(once[i]) - values[i]) * (static_cast<double>(once[i]) - values[i]);
        }
      }
      // The mean of so many independent errors has their variance divided by their number. Its squared norm
      // is then about `expected`; a bias would come on top of it, in every value.
      const auto expected = error / kSeeds / kSeeds;
      auto of_mean = 0.0;
      for (std::size_t i = 0; i < kSize; ++i) of_mean += (mean[i] - values[i]) * (mean[i] - values[i]);
      CHECK(of_mean < 1.3 * expected);
      CHECK(of_mean > 0.7 * expected);
    }
  }

  TEST_CASE("rounding to nearest would be found out as biased by the same statistic") {
    const auto values = normal_values(1500, 1);
    auto rest = values;
    const auto bytes = encode_leaving_rest(codec_of("int4"), *flat_layout(1500), rest, 1).value();
    CHECK(squared(rest) > 0);
    auto again = values;
    const auto others = encode_leaving_rest(codec_of("int4"), *flat_layout(1500), again, 2).value();
    CHECK(
        std::ranges::equal(bytes.span(), others.span()));  // no seed changes it: the error never averages out
  }

  TEST_CASE("QSGD keeps its variance bound") {
    // E‖Q(v) − v‖² ≤ min(d / s², √d / s) ‖v‖² (1610.02132, lemma 3.1), block by block.
    for (const auto levels : {1u, 3u, 7u, 31u, 127u})
      for (const auto size : {10u, 300u, 1024u}) {
        CAPTURE(levels);
        CAPTURE(size);
        const auto values = normal_values(size, levels);
        auto codec = Codec();
        codec.quantizer = Quantizer::qsgd;
        codec.levels = levels;
        constexpr int kSeeds = 50;
        auto error = 0.0;
        for (auto seed = 0; seed < kSeeds; ++seed) {
          auto difference = decoded(encoded(codec, values, static_cast<std::uint64_t>(seed)));
          for (std::size_t i = 0; i < size; ++i) difference[i] -= values[i];
          error += squared(difference) / kSeeds;
        }
        const auto d = static_cast<double>(size);
        const auto s = static_cast<double>(levels);
        CHECK(error <= std::min(d / (s * s), std::sqrt(d) / s) * squared(values) * 1.01);
      }
  }

  TEST_CASE("int8 and int4 miss by less than a step, to nearest by half of one") {
    const auto values = normal_values(1000, 5);
    const auto [low, high] = std::ranges::minmax(values);
    for (const auto& [name, levels] : {std::pair("int8", 255.0f), std::pair("int4", 15.0f)}) {
      const auto step = (high - low) / levels;
      const auto stochastic = decoded(encoded(codec_of(name), values, 1));
      auto rest = values;
      REQUIRE(encode_leaving_rest(codec_of(name), *flat_layout(1000), rest, 1));
      for (std::size_t i = 0; i < values.size(); ++i) {
        CHECK(std::abs(stochastic[i] - values[i]) <= step * 1.001f);
        CHECK(std::abs(rest[i]) <= step * 0.501f);
      }
    }
  }

  TEST_CASE("sign says the mean magnitude and every sign") {
    CHECK(decoded(encoded(codec_of("sign"), Floats{1, -2, 3, -4, 0}, 1)) == Floats{2, -2, 2, -2, 2});
  }

  TEST_CASE("half precision rounds to nearest even, over the whole range") {
    const auto half = [](float value) { return decoded(encoded(codec_of("fp16"), Floats{value}, 1))[0]; };
    CHECK(half(1.0f) == 1.0f);
    CHECK(half(1.0f + 0x1p-11f) == 1.0f);                // a tie goes to even
    CHECK(half(1.0f + 3 * 0x1p-11f) == 1.0f + 0x1p-9f);  // likewise
    CHECK(half(1.0f + 0x1.1p-11f) == 1.0f + 0x1p-10f);
    CHECK(half(65'504.0f) == 65'504.0f);
    CHECK(half(1e30f) == 65'504.0f);
    CHECK(half(-1e30f) == -65'504.0f);
    CHECK(half(0x1p-24f) == 0x1p-24f);  // the least above zero
    CHECK(half(0x1p-26f) == 0.0f);
    CHECK(half(3 * 0x1p-25f) == 0x1p-23f);  // a tie between subnormals
    CHECK(half(0x1.ff8p-15f) == 0x1.ff8p-15f);
    CHECK(std::signbit(half(-0.0f)));
    const auto brain = [](float value) { return decoded(encoded(codec_of("bf16"), Floats{value}, 1))[0]; };
    CHECK(brain(1.0f + 0x1p-8f) == 1.0f);
    CHECK(brain(1.0f + 3 * 0x1p-8f) == 1.0f + 0x1p-6f);
    CHECK(brain(-3e37f) == doctest::Approx(-3e37f).epsilon(0.01));
  }

  TEST_CASE("error feedback: what was sent and what is left are what there was") {
    constexpr std::size_t kSize = 3000;
    for (const auto* name : {"top_k:0.01", "top_k:0.01+int8+zstd", "top_k_layer:0.05+int4", "sign", "fp16",
                             "bf16", "top_k:0.1+sign", "top_k:0.02+qsgd:7"}) {
      CAPTURE(name);
      const auto codec = codec_of(name);
      REQUIRE(codec.is_biased());
      auto given = std::vector<double>(kSize);
      auto sent = std::vector<double>(kSize);
      auto rest = Floats(kSize);
      for (std::uint64_t round = 0; round < 60; ++round) {
        const auto delta = normal_values(kSize, 100 + round);
        for (std::size_t i = 0; i < kSize; ++i) {
          given[i] += delta[i];
          rest[i] += delta[i];
        }
        const auto before = rest;
        const auto bytes = encode_leaving_rest(codec, *flat_layout(kSize), rest, round).value();
        const auto arrived = decoded(as_memory(bytes.span(), kSize, codec));
        for (std::size_t i = 0; i < kSize; ++i) {
          sent[i] += arrived[i];
          REQUIRE(std::abs(arrived[i] + rest[i] - before[i]) <= 1e-6f * std::abs(before[i]) + 1e-6f);
        }
      }
      for (std::size_t i = 0; i < kSize; ++i)
        REQUIRE(sent[i] + rest[i] == doctest::Approx(given[i]).epsilon(1e-4).scale(10));
    }
  }

  TEST_CASE("top-k keeps the largest, the first of equals, and no zeros") {
    const auto values = Floats{0, 3, -5, 2, -2, 0, 2, 1};
    CHECK(largest_magnitudes(values, 4) == std::vector<std::uint64_t>{1, 2, 3, 4});
    CHECK(largest_magnitudes(values, 3) == std::vector<std::uint64_t>{1, 2, 3});
    CHECK(largest_magnitudes(values, 100) == std::vector<std::uint64_t>{1, 2, 3, 4, 6, 7});
    CHECK(largest_magnitudes(values, 0).empty());
    CHECK(largest_magnitudes({}, 3).empty());
    CHECK(magnitude_threshold(values, 3) == 2);
    CHECK(magnitude_threshold(values, 7) == 0);
  }

  TEST_CASE("selection by threshold keeps what sorting would") {
    auto random = RandomStream(2);
    for (const auto size : {100u, 5000u, 200'000u})
      for (const auto kind : {0, 1, 2, 3}) {
        auto values = normal_values(size, size);
        if (kind == 1)  // many equals
          for (auto& value : values) value = std::round(value * 2);
        if (kind == 2)  // nearly all zero
          for (auto& value : values) value = random.below(200) == 0 ? value : 0;
        if (kind == 3)  // the large ones where a regular sample does not look
          for (std::size_t i = 0; i < size; ++i) values[i] = i < size / 100 ? 100 + values[i] : values[i];
        for (const auto count : {1u, size / 100, size / 3}) {
          CAPTURE(size);
          CAPTURE(kind);
          CAPTURE(count);
          auto order = std::vector<std::uint64_t>();
          for (std::uint64_t i = 0; i < size; ++i)
            if (values[i] != 0) order.push_back(i);
          std::stable_sort(order.begin(), order.end(),
                           [&](auto a, auto b) { return std::abs(values[a]) > std::abs(values[b]); });
          order.resize(std::min<std::size_t>(order.size(), count));
          std::sort(order.begin(), order.end());
          CHECK(largest_magnitudes(values, count) == order);
        }
      }
  }

  TEST_CASE("sparsifiers count each layer, and leave statistics alone") {
    const auto layout = test::small_layout();  // 21 weights, 3 biases, 5 of a buffer
    auto values = Floats(29, 0.01f);
    values[4] = 9;
    values[22] = 0.5f;
    const auto kept = [&](const char* name) {
      const auto bytes = encode_array(codec_of(name), *layout, values, 1).value();
      const auto back = decoded(as_memory(bytes.span(), 29, codec_of(name)));
      auto indices = std::vector<std::size_t>();
      for (std::size_t i = 0; i < back.size(); ++i)
        if (back[i] != 0) indices.push_back(i);
      return indices;
    };
    CHECK(kept("top_k:0.08") == std::vector<std::size_t>{4, 22, 24, 25, 26, 27, 28});
    values[5] = 8;
    CHECK(kept("top_k:0.08") == std::vector<std::size_t>{4, 5, 24, 25, 26, 27, 28});
    CHECK(kept("top_k_layer:0.05") == std::vector<std::size_t>{4, 22, 24, 25, 26, 27, 28});
    values[7] = 0;
    CHECK(kept("prune").size() == 28);
  }

  TEST_CASE("a random order meets every index once") {
    for (const auto size : {1u, 2u, 3u, 5u, 64u, 1000u, 4097u}) {
      auto met = std::set<std::uint64_t>();
      const auto order = RandomOrder(size, 7);
      for (std::uint64_t place = 0; place < size; ++place) met.insert(order[place]);
      CHECK(met.size() == size);
      CHECK(*met.rbegin() == size - 1);
    }
  }

  TEST_CASE("indices take about what their entropy is") {
    auto random = RandomStream(4);
    constexpr std::uint64_t kBound = 10'000'000;
    auto indices = std::vector<std::uint64_t>();
    for (std::uint64_t i = 0; i < kBound; ++i)
      if (random.below(100) == 0) indices.push_back(i);
    auto out = GrowingBuffer();
    auto previous = ~std::uint64_t{0};
    for (std::size_t first = 0; first < indices.size(); first += 1024) {
      const auto block =
          std::span(indices).subspan(first, std::min<std::size_t>(1024, indices.size() - first));
      const auto begin = out.size();
      const auto r = encode_gaps(block, previous, out);
      auto back = std::vector<std::uint64_t>(block.size());
      REQUIRE(decode_gaps(out.span().subspan(begin), r, previous, kBound, back));
      REQUIRE(std::ranges::equal(back, block));
      previous = block.back();
    }
    const auto entropy = (-0.01 * std::log2(0.01) - 0.99 * std::log2(0.99)) / 0.01;
    CHECK(8.0 * static_cast<double>(out.size()) / static_cast<double>(indices.size()) < entropy + 0.1);
  }

  TEST_CASE("indices far apart and beyond 32 bits survive") {
    const auto indices = std::vector<std::uint64_t>{0, 1, 5'000'000'000, 5'000'000'001, 40'000'000'000};
    auto out = GrowingBuffer();
    const auto r = encode_gaps(indices, ~std::uint64_t{0}, out);
    auto back = std::vector<std::uint64_t>(indices.size());
    REQUIRE(decode_gaps(out.span(), r, ~std::uint64_t{0}, 40'000'000'001, back));
    CHECK(back == indices);
    CHECK(!decode_gaps(out.span(), r, ~std::uint64_t{0}, 40'000'000'000, back));
  }

  TEST_CASE("what is not a finite number is refused, not encoded") {
    for (const auto* name : kAll)
      for (const auto bad :
           {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -3e38f}) {
        const auto codec = codec_of(name);
        if (codec.is_none() || codec.sparsifier == Sparsifier::random_k) continue;
        CAPTURE(name);
        auto values = normal_values(2000, 1);
        values[1234] = bad;
        const auto bytes = encode_array(codec, *flat_layout(2000), values, 1);
        REQUIRE(!bytes);
        CHECK(bytes.error().code == ec::not_finite);
      }
  }

  TEST_CASE("damaged bytes are refused or give values, and never more than there are") {
    constexpr std::size_t kSize = 2500;
    const auto values = normal_values(kSize, 3);
    auto random = RandomStream(9);
    for (const auto* name : kAll) {
      CAPTURE(name);
      const auto codec = codec_of(name);
      if (codec.is_none()) continue;  // its length is checked with the header
      const auto good = encode_array(codec, *flat_layout(kSize), values, 1).value();
      const auto bytes = std::vector<std::byte>(good.span().begin(), good.span().end());
      auto out = Floats(kSize);
      for (std::size_t cut = 0; cut < bytes.size(); cut += 1 + bytes.size() / 60) {
        auto truncated = bytes;
        truncated.resize(cut);
        CHECK(!decode_array(as_file(truncated, kSize, codec), out));
      }
      auto longer = bytes;
      longer.push_back(std::byte{0});
      CHECK(!decode_array(as_file(longer, kSize, codec), out));
      // A random draw of fewer values is one of fewer values.
      if (codec.sparsifier != Sparsifier::random_k)
        CHECK(!decode_array(as_file(bytes, kSize - 1500, codec), out));
      for (auto flip = 0; flip < 300; ++flip) {
        auto damaged = bytes;
        damaged[random.below(damaged.size())] ^= std::byte{static_cast<std::uint8_t>(1 << random.below(8))};
        (void)decode_array(as_file(damaged, kSize, codec), out);  // the sanitizers look on
      }
      for (auto lie = 0; lie < 20 && codec.is_sparse() && codec.zstd == 0; ++lie) {
        auto lying = bytes;
        const auto count = random();
        std::memcpy(lying.data() + (codec.sparsifier == Sparsifier::random_k ? 8 : 0), &count, 8);
        CHECK(!decode_array(as_file(lying, kSize, codec), out));
      }
    }
  }

  TEST_CASE("an array of zeros, and of equals, comes back as it was") {
    for (const auto* name : kAll) {
      const auto codec = codec_of(name);
      CAPTURE(name);
      CHECK(decoded(encoded(codec, Floats(1500, 0.0f), 1)) == Floats(1500, 0.0f));
      if (codec.sparsifier == Sparsifier::none && codec.quantizer != Quantizer::qsgd)
        CHECK(decoded(encoded(codec, Floats(1500, -0.25f), 1)) == Floats(1500, -0.25f));
    }
  }
}
