#include "learning/parameters.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "tests/unit/learning/float_sources.hpp"

using namespace fl::testing;

TEST_CASE("parameters are zeros or uninitialised, aligned, and sized by their layout") {
  const auto zeros = fl::Parameters::zeros(flat_layout(5));
  CHECK(zeros.size() == 5);
  CHECK(zeros.bytes().size() == 20);
  for (const auto value : zeros.values()) CHECK(value == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(zeros.values().data()) % 64 == 0);
  CHECK(fl::Parameters().size() == 0);
  CHECK(fl::Parameters().clone().size() == 0);
}

TEST_CASE("a clone is another array with the same bits") {
  const auto model = flat_model({1, -2, 3});
  auto copy = model->clone();
  CHECK(same_bits(copy.values(), model->values()));
  copy.values()[0] = 7;
  CHECK(model->values()[0] == 1);
}

TEST_CASE("one tensor's values are its part of the flat array") {
  auto layout = std::make_shared<fl::Layout>();
  layout->add("weight", {2, 2});
  layout->add("bias", {2});
  const auto model = model_of(layout, std::vector<float>{1, 2, 3, 4, 5, 6});
  const auto bias = model->values_of(layout->entries()[1]);
  REQUIRE(bias.size() == 2);
  CHECK(bias[0] == 5);
  CHECK(bias[1] == 6);
}

TEST_CASE("SHA-256 is over the little-endian values") {
  // python3 -c 'import hashlib, struct; print(hashlib.sha256(struct.pack("<3f", 1, 2, 3)).hexdigest())'
  CHECK(flat_model({1, 2, 3})->sha256() ==
        "8e628779e6a74ee0b36991c10158f63cafec7d340ad4e075592502c8708524dd");
  CHECK(flat_model({1, 2, 4})->sha256() != flat_model({1, 2, 3})->sha256());
}
