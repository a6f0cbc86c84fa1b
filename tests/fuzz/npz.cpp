// Arrays of a client's own. An input is the .npy of x and that of y, each behind its length (4 bytes), so
// that mutations reach what the archive's checksums hide.
#include "learning/data/npz.hpp"

#include "tests/fuzz/scratch_folder.hpp"
#include "tests/support/npz_files.hpp"

namespace fl::fuzz {

namespace {

std::string take(Reader& reader) {
  const auto length = reader.number<std::uint32_t>();
  const auto part = text_of(reader.rest().first(std::min<std::size_t>(length, reader.rest().size())));
  auto text = std::string(part);
  reader = Reader(reader.rest().subspan(part.size()));
  return text;
}

void run(Input input) {
  static const auto scratch = ScratchFolder();
  auto reader = Reader(input);
  const auto labels = reader.number<std::uint8_t>() % 2 == 0;
  const auto x = take(reader);
  const auto y = take(reader);
  const auto file = scratch.path() / "data.npz";
  require(test::write_npz(file, {{"x", x}, {"y", y}}), "an archive can be written");
  const auto schema = find_npz_schema(file, true, labels);
  if (!schema) {
    require(schema.error().code == ec::bad_data, "bad arrays are bad data");
    return;
  }
  auto samples = Samples();
  const auto read = read_npz_samples(file, *schema, Half::train, true, samples);
  if (!read) {
    require(read.error().code == ec::bad_data, "bad arrays are bad data");
    return;
  }
  const auto values = schema->pixels ? samples.bytes.size() : samples.features.size();
  require(values == samples.size() * inputs_of(*schema), "every row has every input");
}

std::vector<std::uint8_t> example(std::uint8_t kind, const std::string& x, const std::string& y) {
  auto bytes = std::vector<std::uint8_t>{kind};
  for (const auto* part : {&x, &y}) {
    for (auto shift = 0; shift < 32; shift += 8)
      bytes.push_back(static_cast<std::uint8_t>(part->size() >> shift));
    bytes.insert(bytes.end(), part->begin(), part->end());
  }
  return bytes;
}

std::vector<Seed> seeds() {
  return {{"floats", example(0, test::npy<float>("<f4", "(2, 2)", {1, 2, 3, 4}),
                             test::npy<std::int64_t>("<i8", "(2,)", {0, 1}))},
          {"pixels", example(0, test::npy<std::uint8_t>("|u1", "(2, 1, 2)", {1, 2, 3, 4}),
                             test::npy<std::uint8_t>("|u1", "(2,)", {0, 1}))},
          {"numbers", example(1, test::npy<double>("<f8", "(2,)", {1, 2}),
                              test::npy<double>("<f8", "(2,)", {0.5, -1}))}};
}

const auto registration = Registration({"npz", run, seeds});

}  // namespace

}  // namespace fl::fuzz
