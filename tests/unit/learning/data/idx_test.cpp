#include "learning/data/idx.hpp"

#include <doctest/doctest.h>

#include "tests/support/idx_files.hpp"

using namespace fl;
using namespace fl::test;

namespace {

const IdxBytes kTwoImages = {.dimensions = {2, 2, 3}, .values = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};

/// Reads `bytes` from a file of three dimensions and returns the error's text; empty when there is none.
std::string error_of(const std::string& bytes, const std::string& name = "images") {
  const IdxFolder folder;
  folder.write(name, bytes);
  const auto array = read_idx(folder.path() / name, 3);
  if (array) return "";
  CHECK(array.error().code == ec::bad_data);
  CHECK(array.error().text.find(name) != std::string::npos);
  return array.error().text;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an IDX file is read plain and compressed") {
  const IdxFolder folder;
  folder.write("plain", kTwoImages.encode());
  folder.write_gzip("packed.gz", kTwoImages.encode());
  for (const auto* name : {"plain", "packed.gz"}) {
    const auto array = read_idx(folder.path() / name, 3);
    REQUIRE(array);
    CHECK(array->extents == kTwoImages.dimensions);
    CHECK(array->values == kTwoImages.values);
  }
}

TEST_CASE("a damaged IDX file is refused with what is wrong") {
  const auto good = kTwoImages.encode();
  CHECK(error_of(good).empty());
  CHECK(contains(error_of(good.substr(0, good.size() - 5)), "truncated: expected 28 bytes, found 23"));
  CHECK(contains(error_of(good.substr(0, 7)), "truncated: expected 16 bytes, found 7"));
  CHECK(contains(error_of(""), "truncated: expected 16 bytes, found 0"));
  CHECK(contains(error_of(good + "x"), "longer than the 28 bytes"));
  CHECK(
      contains(error_of("<html>404 not found</html>"), "wrong magic number 0x3c68746d, expected 0x00000803"));
  CHECK(contains(error_of(IdxBytes{.dimensions = {4}, .values = {1, 2, 3, 4}}.encode() + good),
                 "wrong magic number 0x00000801"));
  CHECK(contains(error_of(IdxBytes{.dimensions = {0, 2, 3}, .values = {}}.encode()), "empty"));
}

TEST_CASE("a header that claims more than is there takes no memory for it") {
  const auto largest = 0xffffffffu;
  CHECK(contains(error_of(IdxBytes{.dimensions = {largest, largest, largest}, .values = {1}}.encode()),
                 "impossibly large"));
  // 68 GB: within what the format may hold, so that only the missing bytes show the lie.
  CHECK(contains(error_of(IdxBytes{.dimensions = {1u << 30, 8, 8}, .values = {1, 2}}.encode()),
                 "truncated: expected 68719476752 bytes, found 18"));
}

TEST_CASE("a damaged compressed IDX file is refused") {
  const IdxFolder folder;
  folder.write_gzip("good.gz", kTwoImages.encode());
  const auto good = folder.read("good.gz");
  SUBCASE("cut in the data") {
    CHECK(contains(error_of(good.substr(0, good.size() - 14)), "truncated"));
  }
  SUBCASE("cut in the checksum") {
    CHECK(contains(error_of(good.substr(0, good.size() - 6)), "truncated"));
  }
  SUBCASE("wrong checksum") {
    auto bad = good;
    bad[bad.size() - 6] ^= 1;
    CHECK(contains(error_of(bad), "damaged"));
  }
  SUBCASE("content longer than its header says") {
    folder.write_gzip("long.gz", kTwoImages.encode() + "more");
    CHECK(contains(error_of(folder.read("long.gz")), "longer"));
  }
}

TEST_CASE("every spelling of an IDX file's name is found, the plain one first") {
  const IdxFolder folder;
  const auto find = [&] { return find_idx(folder.path(), "t10k-images-idx3-ubyte"); };
  const auto missing = find();
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ec::bad_data);
  CHECK(contains(missing.error().text, "t10k-images-idx3-ubyte is missing"));
  for (const auto* name : {"t10k-images.idx3-ubyte.gz", "t10k-images.idx3-ubyte", "t10k-images-idx3-ubyte.gz",
                           "t10k-images-idx3-ubyte"}) {
    folder.write(name, "");
    REQUIRE(find());
    CHECK(find()->filename() == name);
  }
}
