// IDX files of MNIST and its relatives. The last byte of an input says how the rest is stored: as it is, or
// compressed first, so that mutations reach what the compression hides.
#include "learning/data/idx.hpp"

#include <zlib.h>

#include <optional>

#include "tests/fuzz/scratch_folder.hpp"

namespace fl::fuzz {

namespace {

std::vector<std::uint8_t> compressed(Input plain) {
  auto stream = z_stream();
  constexpr int kGzip = 15 + 16;
  require(deflateInit2(&stream, 1, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) == Z_OK, "zlib is there");
  auto out = std::vector<std::uint8_t>(deflateBound(&stream, plain.size()) + 64);
  stream.next_in = const_cast<std::uint8_t*>(plain.data());
  stream.avail_in = static_cast<unsigned>(plain.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<unsigned>(out.size());
  require(deflate(&stream, Z_FINISH) == Z_STREAM_END, "everything can be compressed");
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

void run(Input input) {
  static const auto scratch = ScratchFolder();
  if (input.empty()) return;
  const auto content = input.first(input.size() - 1);
  const auto compress = input.back() % 2 == 1;
  const auto file =
      compress ? scratch.write("images", compressed(content)) : scratch.write("images", content);
  for (const auto dimensions : {std::size_t{1}, std::size_t{3}}) {
    const auto array = read_idx(file, dimensions);
    if (!array) {
      require(array.error().code == ec::bad_data, "a bad file is bad data");
      continue;
    }
    require(array->extents.size() == dimensions, "as many extents as were asked for");
    auto expected = std::uint64_t{1};
    for (const auto extent : array->extents) expected *= extent;
    require(array->values.size() == expected, "as many values as the extents say");
    const auto header_bytes = 4 * (1 + dimensions);
    if (compress || !(content.size() > 1 && content[0] == 0x1f && content[1] == 0x8b))
      require(content.size() == header_bytes + expected &&
                  std::equal(array->values.begin(), array->values.end(), content.begin() + header_bytes),
              "the values are those of the file");
  }
}

std::vector<Seed> seeds() {
  const auto images =
      std::vector<std::uint8_t>{0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 10, 20, 30, 40};
  const auto labels = std::vector<std::uint8_t>{0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3};
  const auto ending = [](std::vector<std::uint8_t> bytes, std::uint8_t how) {
    bytes.push_back(how);
    return bytes;
  };
  return {{"images", ending(images, 0)},
          {"labels", ending(labels, 0)},
          {"images-to-compress", ending(images, 1)},
          {"labels-to-compress", ending(labels, 1)},
          {"images-compressed", ending(compressed(images), 0)}};
}

const auto registration = Registration({"idx", run, seeds});

}  // namespace

}  // namespace fl::fuzz
