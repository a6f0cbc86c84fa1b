// Data schemas as a server sends them.
#include "learning/data/own_data.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace fl::fuzz {

namespace {

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
  }
}

std::vector<Seed> seeds() {
  return {{"csv", bytes_of(R"({"kind": "csv", "target": "y", "columns": [{"name": "x"},
           {"name": "c", "categories": ["a", "b"]}], "classes": ["no", "yes"], "standardise": true})")},
          {"images",
           bytes_of(R"({"kind": "images", "shape": [3, 8, 8], "classes": ["a", "b"], "pixels": true})")},
          {"numbers", bytes_of(R"({"kind": "npz", "shape": [5], "standardise": false})")}};
}

const auto registration = Registration({"schema", run, seeds});

}  // namespace

}  // namespace fl::fuzz
