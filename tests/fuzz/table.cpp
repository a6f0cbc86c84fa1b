// Tables of a client's own, and what is found in them. The first byte says whether classes or numbers are
// predicted.
#include "learning/data/csv_table.hpp"
#include "tests/fuzz/scratch_folder.hpp"

namespace fl::fuzz {

namespace {

void run(Input input) {
  static const auto scratch = ScratchFolder();
  if (input.empty()) return;
  const auto labels = input.front() % 2 == 0;
  const auto file = scratch.write("table.csv", input.subspan(1));
  const auto schema = find_csv_schema({file}, DatasetOptions(), labels);
  if (!schema) {
    require(schema.error().code == ec::bad_data, "a bad table is bad data");
    return;
  }
  auto samples = Samples();
  const auto read = read_csv_samples(file, *schema, true, samples);
  if (!read) {
    require(read.error().code == ec::bad_data, "a bad table is bad data");
    return;
  }
  require(samples.size() >= 1, "a table that is read has rows");
  require(samples.features.size() == samples.size() * inputs_of(*schema), "every row has every input");
  for (const auto label : samples.labels)
    require(label >= 0 && label < std::int64_t{schema->class_count()}, "labels are classes");
}

std::vector<Seed> seeds() {
  return {{"labels", bytes_of(std::string("\0", 1) + "x,c,y\n1.5,a,no\nNA,b,yes\n\"2\",,no\n")},
          {"numbers", bytes_of("\1x;c;y\r\n1.5;a;0.5\r\n?;b;-1e3\r\n")}};
}

const auto registration = Registration({"table", run, seeds});

}  // namespace

}  // namespace fl::fuzz
