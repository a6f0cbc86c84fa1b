#include "learning/kernels.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include "learning/random.hpp"
#include "tests/unit/learning/float_sources.hpp"

using namespace fl::testing;
namespace kernels = fl::kernels;
using Floats = std::vector<float>;

namespace {

/// Longer than two blocks of a visit, and no multiple of any vector's width.
constexpr std::size_t kLong = 2 * kernels::kVisitBlock + 1'237;

Floats random_floats(std::size_t size, std::uint64_t seed) {
  auto stream = fl::RandomStream(seed);
  auto values = Floats(size);
  for (auto& value : values) value = static_cast<float>(stream.normal());
  return values;
}

}  // namespace

TEST_CASE("elementwise loops do what their equations say") {
  const auto u = Floats{1, -2, 4};
  const auto b = Floats{1, 1, 1};

  auto sum = Floats(3, std::numeric_limits<float>::quiet_NaN());
  kernels::scale_into(sum, u, 0.5f);  // whatever lay there before
  CHECK(sum == Floats{0.5, -1, 2});
  kernels::fold(sum, u, 2);  // 0.5 + 2·1, −1 + 2·(−2), 2 + 2·4
  CHECK(sum == Floats{2.5, -5, 10});
  kernels::fold_difference(sum, u, b, 2);  // 2.5 + 2·(1 − 1), −5 + 2·(−2 − 1), 10 + 2·(4 − 1)
  CHECK(sum == Floats{2.5, -11, 16});
  kernels::scale_difference_into(sum, u, b, 2);
  CHECK(sum == Floats{0, -6, 6});
  kernels::subtract(sum, u, b);
  CHECK(sum == Floats{0, -3, 3});
  kernels::add_scaled(sum, b, u, 3);  // 1 + 3·1, 1 + 3·(−2), 1 + 3·4
  CHECK(sum == Floats{4, -5, 13});
  kernels::add_scaled(sum, sum, u, 1);  // in place
  CHECK(sum == Floats{5, -7, 17});
}

TEST_CASE("every element is rounded twice, as plain C++ rounds it, in every vector's lane") {
  const auto u = random_floats(kLong, 1);
  auto sum = random_floats(kLong, 2);
  auto expected = sum;
  for (std::size_t i = 0; i < kLong; ++i) {
    const volatile float product =
        0.3f * u[i];  // volatile: no fused multiply-add, whatever the compiler's options
    expected[i] += product;
  }
  kernels::fold(sum, u, 0.3f);
  CHECK(same_bits(sum, expected));
}

TEST_CASE("arrays of different sizes are a bug") {
  auto sum = Floats(3);
  CHECK_THROWS_AS(kernels::fold(sum, Floats(2), 1), std::invalid_argument);
  CHECK_THROWS_AS(kernels::subtract(sum, Floats(3), Floats(4)), std::invalid_argument);
}

TEST_CASE("all_finite finds one bad value anywhere") {
  auto values = Floats(10'000, std::numeric_limits<float>::max());
  CHECK(kernels::all_finite(values));
  CHECK(kernels::all_finite(Floats()));
  for (const std::size_t place : {0u, 17u, 4'095u, 4'096u, 9'999u}) {
    for (const auto bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                           -std::numeric_limits<float>::infinity()}) {
      auto damaged = values;
      damaged[place] = bad;
      CHECK_FALSE(kernels::all_finite(damaged));
    }
  }
}

TEST_CASE("sum_of_squares adds in double and in blocks that a visit can add too") {
  CHECK(kernels::sum_of_squares(Floats()) == 0);
  CHECK(kernels::sum_of_squares(Floats{3, 4}) == 25);
  // In float, 1e16 + 1 would be 1e16: the small values count because lanes and sums are double.
  CHECK(kernels::sum_of_squares(Floats{1e7f, 1}) == 1e14 + 1);

  const auto values = random_floats(kLong, 3);
  const auto whole = kernels::sum_of_squares(values);
  const auto plain = std::accumulate(values.begin(), values.end(), 0.0,
                                     [](double sum, float v) { return sum + static_cast<double>(v) * v; });
  CHECK(whole == doctest::Approx(plain).epsilon(1e-12));

  double by_blocks = 0;
  const auto source = FileLikeSource(values);
  REQUIRE(kernels::visit_floats(source, 0, kLong, [&](std::uint64_t, std::span<const float> block) {
    by_blocks += kernels::sum_of_squares(block);
  }));
  CHECK(by_blocks == whole);
}

TEST_CASE("a visit sees every float once and in order, from memory and from a file") {
  auto values = Floats(kLong);
  std::iota(values.begin(), values.end(), 0.0f);
  const auto memory = fl::MemorySource(bytes_of(values));
  const auto file = FileLikeSource(values);
  const auto* only_memory = memory.view().data();
  for (const fl::ByteSource* source :
       {static_cast<const fl::ByteSource*>(&memory), static_cast<const fl::ByteSource*>(&file)}) {
    for (const std::uint64_t skipped : {0u, 16u}) {
      auto seen = Floats();
      REQUIRE(kernels::visit_floats(*source, skipped * sizeof(float), kLong - skipped,
                                    [&](std::uint64_t first, std::span<const float> block) {
                                      CHECK(first == seen.size());
                                      CHECK(block.size() <= kernels::kVisitBlock);
                                      seen.insert(seen.end(), block.begin(), block.end());
                                    }));
      CHECK(same_bits(seen, std::span(values).subspan(skipped)));
    }
  }
  // Memory is looked at where it lies.
  REQUIRE(kernels::visit_floats(memory, 0, 3, [&](std::uint64_t, std::span<const float> block) {
    CHECK(static_cast<const void*>(block.data()) == only_memory);
  }));
}

TEST_CASE("floats at an odd place in memory are copied to an aligned one") {
  const auto values = Floats{1, 2, 3};
  auto shifted = fl::AlignedBuffer(values.size() * sizeof(float) + 1);
  std::memcpy(shifted.data() + 1, values.data(), values.size() * sizeof(float));
  const auto source = fl::MemorySource(std::move(shifted));
  auto seen = Floats();
  REQUIRE(kernels::visit_floats(source, 1, 3, [&](std::uint64_t, std::span<const float> block) {
    seen.assign(block.begin(), block.end());
  }));
  CHECK(seen == values);
}

TEST_CASE("a visit beyond the end is refused before it begins") {
  const auto source = FileLikeSource(Floats(10));
  const auto never = [](std::uint64_t, std::span<const float>) { FAIL("visited"); };
  for (const auto& [offset, count] :
       std::vector<std::pair<std::uint64_t, std::uint64_t>>{{0, 11},
                                                            {4, 10},
                                                            {41, 0},
                                                            {0, std::numeric_limits<std::uint64_t>::max()},
                                                            {std::numeric_limits<std::uint64_t>::max(), 1}}) {
    const auto visited = kernels::visit_floats(source, offset, count, never);
    REQUIRE_FALSE(visited);
    CHECK(visited.error().code == fl::ec::corrupt_data);
  }
  CHECK(kernels::visit_floats(source, 40, 0, never));
}

TEST_CASE("a read that fails ends the visit with its error") {
  const auto source = FileLikeSource(Floats(kLong), (kernels::kVisitBlock + 1) * sizeof(float));
  int blocks = 0;
  const auto visited =
      kernels::visit_floats(source, 0, kLong, [&](std::uint64_t, std::span<const float>) { ++blocks; });
  REQUIRE_FALSE(visited);
  CHECK(visited.error().code == fl::ec::io_failed);
  CHECK(blocks == 1);
}
