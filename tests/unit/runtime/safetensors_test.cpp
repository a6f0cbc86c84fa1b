#include "runtime/safetensors.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

#include "tests/support/small_state.hpp"
#include "tests/support/temporary_folder.hpp"

TEST_CASE("an independent reader understands what is written") {
  const auto folder = fl::test::TemporaryFolder();
  const auto model = fl::test::counting(fl::test::small_layout(), 0.5f);
  REQUIRE(
      fl::write_safetensors(model, {{"format", "pt"}, {"model_version", "7"}}, folder / "model.safetensors")
          .has_value());
  fl::test::write_text(folder / "read.py", R"(
import json, struct, sys
data = open(sys.argv[1], "rb").read()
(length,) = struct.unpack("<Q", data[:8])
assert length % 8 == 0
header = json.loads(data[8:8 + length])
assert header.pop("__metadata__") == {"format": "pt", "model_version": "7"}
assert list(header) == ["weight", "bias", "mean"], list(header)
assert [t["shape"] for t in header.values()] == [[3, 7], [3], [5]]
payload = data[8 + length:]
values, end = [], 0
for tensor in header.values():
    assert tensor["dtype"] == "F32"
    begin, stop = tensor["data_offsets"]
    assert begin == end
    end = stop
    values += struct.unpack("<%df" % ((stop - begin) // 4), payload[begin:stop])
assert end == len(payload)
assert values == [0.5 + i for i in range(29)], values
)");
  const auto command =
      "python3 " + (folder / "read.py").string() + " " + (folder / "model.safetensors").string();
  CHECK(std::system(command.c_str()) == 0);
}

TEST_CASE("a folder that is not there is an error") {
  const auto folder = fl::test::TemporaryFolder();
  const auto model = fl::test::counting(fl::test::small_layout(), 0);
  const auto result = fl::write_safetensors(model, {}, folder / "no" / "model.safetensors");
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == fl::ec::io_failed);
}
