#include "learning/quantized_export.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/small_state.hpp"

using namespace fl;

TEST_CASE("a model in 8 bits: each channel to half a step of its own, everything else as it was") {
  auto model = test::counting(test::small_layout(), -10);  // weight [3, 7], bias [3], a buffer [5]
  for (std::size_t i = 14; i < 21; ++i) model.values()[i] = 0;
  const auto small = quantized(model);
  CHECK(small.codes.size() == 21);
  CHECK(small.scales == std::vector<float>{10.0f / 127, 3.0f / 127, 0});
  CHECK(small.rest.size() == 8);
  const auto back = dequantized(small);
  for (std::size_t i = 0; i < model.size(); ++i) {
    const auto step = i < 21 ? small.scales[i / 7] : 0;
    CHECK(std::abs(back.values()[i] - model.values()[i]) <= step * 0.501f);
  }
  CHECK(small.codes[0] == -127);
}
