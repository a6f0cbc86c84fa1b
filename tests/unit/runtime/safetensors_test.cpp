#include "runtime/safetensors.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

#include "messages/file_source.hpp"
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

TEST_CASE("what is written is read again, and a header that lies is refused") {
  const auto folder = fl::test::TemporaryFolder();
  const auto file = folder / "model.safetensors";
  const auto model = fl::test::counting(fl::test::small_layout(), 0.5f);
  REQUIRE(fl::write_safetensors(model, {{"version", "7"}}, file).has_value());
  const auto header = fl::read_safetensors_header(**fl::FileSource::open(file));
  REQUIRE(header.has_value());
  CHECK(header->metadata.at("version") == "7");
  REQUIRE(header->tensors.size() == 3);
  CHECK(header->tensors[0].name == "weight");
  CHECK(header->tensors[0].dtype == "F32");
  CHECK(header->tensors[0].shape == std::vector<std::int64_t>{3, 7});
  CHECK(header->tensors[1].values == 3);
  CHECK(header->tensors[1].offset == header->tensors[0].offset + 84);

  const auto refused = [](const std::string& json, std::size_t claimed) {
    auto text = std::string(8, '\0') + json + "12345678";
    for (auto i = 0; i < 8; ++i) text[i] = static_cast<char>(claimed >> (8 * i));
    const auto bytes = fl::BorrowedSource(std::as_bytes(std::span(text)));
    const auto read = fl::read_safetensors_header(bytes);
    REQUIRE_FALSE(read.has_value());
    CHECK(read.error().code == fl::ec::corrupt_data);
    return read.error().text;
  };
  for (const auto* tensor : {R"("shape": [2], "data_offsets": [0, 8])", R"("dtype": "F32", "shape": [2])",
                             R"("dtype": "F32", "shape": [2], "data_offsets": [4, 12])",
                             R"("dtype": "F32", "shape": [3], "data_offsets": [0, 8])",
                             R"("dtype": "F32", "shape": [-2], "data_offsets": [0, 8])",
                             R"("dtype": "X", "shape": [4294967296, 4294967296], "data_offsets": [0, 8])"}) {
    const auto json = "{\"w\": {" + std::string(tensor) + "}}";
    CHECK(fl::test::holds_all(refused(json, json.size()), {"\"w\""}));
  }
  CHECK(fl::test::holds_all(refused("{}", 1'000), {"1000"}));
  CHECK(fl::test::holds_all(refused("[]", 2), {"JSON"}));
}
