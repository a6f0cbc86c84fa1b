// Data schemas as a server sends them, and a client's data as they are read by them.
#include <memory>

#include "learning/data/own_data.hpp"
#include "learning/data/text_file.hpp"
#include "tests/fuzz/scratch_folder.hpp"

namespace fl::fuzz {

namespace {

/// A client's small table, text and idx folder: read, or refused.
void load(const DataSchema& schema) {
  static const auto scratch = [] {
    auto folder = std::make_unique<ScratchFolder>();
    folder->write("data.csv", bytes_of("x,c,y\n1,a,no\n2,b,yes\n"));
    folder->write("data.txt", bytes_of("What is written here is read by many schemas.\n"));
    folder->write("train-images-idx3-ubyte",
                  std::vector<std::uint8_t>{0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 1, 2, 3, 4});
    folder->write("train-labels-idx1-ubyte", std::vector<std::uint8_t>{0, 0, 8, 1, 0, 0, 0, 2, 0, 1});
    return folder;
  }();
  auto options = DatasetOptions();
  options.name = schema.kind;
  options.file = schema.kind == "csv"    ? scratch->path() / "data.csv"
                 : schema.kind == "text" ? scratch->path() / "data.txt"
                                         : scratch->path();
  const auto loaded = load_own_data(options, schema, {true, false});
  if (loaded) (void)DataView::all(loaded->train).label_histogram();
}

void run(Input input) {
  const auto schema = parse_schema(text_of(input));
  if (!schema) {
    require(schema.error().code == ec::bad_data, "a bad schema is bad data");
    return;
  }
  require(inputs_of(*schema) >= 1, "samples have inputs");
  require(schema->classes.size() != 1, "there is something to tell apart");
  const auto again = parse_schema(to_json(*schema));
  require(again && *again == *schema, "a schema that was read is written as it was");
  if (inputs_of(*schema) < 10'000) {
    const auto numbers = standardised_inputs(*schema);
    require(numbers.empty() || numbers.size() == inputs_of(*schema), "each input is a number or is not");
    load(*schema);
  }
}

std::vector<Seed> seeds() {
  return {{"csv", bytes_of(R"({"kind": "csv", "target": "y", "columns": [{"name": "x"},
           {"name": "c", "categories": ["a", "b"]}], "classes": ["no", "yes"], "standardise": true})")},
          {"images",
           bytes_of(R"({"kind": "images", "shape": [3, 8, 8], "classes": ["a", "b"], "pixels": true})")},
          {"text", bytes_of(to_json(text_schema(8)))},
          {"idx", bytes_of(R"({"kind": "idx", "shape": [1, 2, 1], "classes": ["a", "b"], "pixels": true})")},
          {"numbers", bytes_of(R"({"kind": "npz", "shape": [5], "standardise": false})")}};
}

const auto registration = Registration({"schema", run, seeds});

}  // namespace

}  // namespace fl::fuzz
