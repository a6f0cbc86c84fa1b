#include "learning/data/own_data.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "learning/data/image_folder.hpp"
#include "learning/data/npz.hpp"
#include "learning/data/partition.hpp"
#include "learning/data/text_file.hpp"
#include "tests/support/idx_files.hpp"
#include "tests/support/image_files.hpp"
#include "tests/support/npz_files.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace fl;
using namespace fl::test;

namespace {

DatasetOptions options_for(const std::string& name, const std::filesystem::path& file) {
  auto options = DatasetOptions();
  options.name = name;
  options.file = file;
  return options;
}

DataSchema schema_of(const DatasetOptions& options, bool labels = true) {
  const auto schema = find_schema(options, labels);
  REQUIRE_MESSAGE(schema, schema.error().text);
  return *schema;
}

TrainTest load(const DatasetOptions& options, const DataSchema& schema, const OwnDataRequest& request) {
  auto loaded = load_own_data(options, schema, request);
  REQUIRE_MESSAGE(loaded, loaded.error().text);
  return std::move(*loaded);
}

std::string why_not(const DatasetOptions& options, const DataSchema& schema) {
  const auto loaded = load_own_data(options, schema, {true, false});
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().code == ec::bad_data);
  return loaded.error().text;
}

std::vector<float> sample(const Dataset& data, std::uint32_t row) {
  auto values = std::vector<float>(data.sample_size());
  data.gather_features(std::span(&row, 1), values);
  return values;
}

}  // namespace

TEST_CASE("each file of a folder is a client's, and gives its share to the test set") {
  const auto folder = TemporaryFolder();
  for (const auto& [name, rows] : {std::pair("b.csv", 20), {"a.csv", 10}}) {
    auto text = std::string("x,y\n");
    for (auto row = 0; row < rows; ++row) text += std::to_string(row) + "," + std::to_string(row % 2) + "\n";
    write_text(folder / name, text);
  }
  write_text(folder / "notes.txt", "not a table");
  const auto options = options_for("csv", folder.path());
  const auto schema = schema_of(options);
  const auto data = load(options, schema, {true, true, true, 2, 3});
  REQUIRE(data.owners.size() == 2);
  CHECK(data.owners[0].size() == 8);
  CHECK(data.owners[1].size() == 16);
  CHECK(data.train->size() == 24);
  CHECK(data.test->size() == 6);
  CHECK(load(options, schema, {true, true, true, 2, 3}).train->fingerprint(data.owners[0]) ==
        data.train->fingerprint(data.owners[0]));
  // A client of a network keeps all of its files.
  const auto own = load(options, schema, {true, false});
  CHECK(own.train->size() == 30);
  CHECK(own.owners.empty());
  CHECK_FALSE(own.test);
}

TEST_CASE("arrays come as floats, or as pixels where they are images of bytes") {
  const auto folder = TemporaryFolder();
  const auto file = folder / "data.npz";
  REQUIRE(write_npz(file, {{"x", npy<double>("<f8", "(2, 3)", {1, 2, 3, 4, 5, 6})},
                           {"y", npy<std::int64_t>("<i8", "(2,)", {0, 2})}}));
  auto options = options_for("npz", file);
  auto schema = schema_of(options);
  CHECK(schema.shape == std::vector<std::int64_t>{3});
  CHECK(schema.class_count() == 3);
  CHECK(schema.standardise);
  auto data = load(options, schema, {true, false});
  CHECK(sample(*data.train, 1) == std::vector<float>{4, 5, 6});
  CHECK(data.train->label(1) == 2);

  REQUIRE(write_npz(file, {{"x_train", npy<std::uint8_t>("|u1", "(2, 1, 2)", {0, 255, 0, 0})},
                           {"y_train", npy<std::uint8_t>("|u1", "(2,)", {0, 1})},
                           {"x_test", npy<std::uint8_t>("|u1", "(1, 1, 2)", {255, 0})},
                           {"y_test", npy<std::uint8_t>("|u1", "(1,)", {1})}}));
  schema = schema_of(options);
  CHECK(schema.shape == std::vector<std::int64_t>{1, 1, 2});
  CHECK(schema.pixels);
  CHECK_FALSE(schema.standardise);
  data = load(options, schema, {true, true});
  CHECK(sample(*data.train, 0) == std::vector<float>{-1, 1});
  CHECK(sample(*data.test, 0) == std::vector<float>{1, -1});

  REQUIRE(write_npz(
      file, {{"x", npy<float>("<f4", "(2, 1)", {1, 2})}, {"y", npy<float>("<f4", "(2,)", {0.5, -1})}}));
  schema = schema_of(options, false);
  CHECK(load(options, schema, {true, false}).train->target(1) == -1);
}

TEST_CASE("what is wrong with arrays is said by name and row") {
  const auto folder = TemporaryFolder();
  const auto file = folder / "data.npz";
  const auto options = options_for("npz", file);
  const auto labels = npy<std::int32_t>("<i4", "(2,)", {0, 1});
  const auto good = npy<float>("<f4", "(2, 2)", {1, 2, 3, 4});
  REQUIRE(write_npz(file, {{"x", good}, {"y", labels}}));
  const auto schema = schema_of(options);
  const auto with = [&](const std::map<std::string, std::string>& arrays) {
    REQUIRE(write_npz(file, arrays));
    return why_not(options, schema);
  };
  CHECK(
      holds_all(with({{"x", good}, {"y", npy<std::int32_t>("<i4", "(2,)", {0, 7})}}), {"y[1]", "2 classes"}));
  CHECK(holds_all(with({{"x", good}, {"y", npy<std::int32_t>("<i4", "(1,)", {0})}}), {"y", "[1]", "2 rows"}));
  CHECK(holds_all(with({{"x", npy<float>("<f4", "(2, 2)", {1, INFINITY, 3, 4})}, {"y", labels}}),
                  {"x[0], value 1", "not finite"}));
  CHECK(holds_all(with({{"x", good + "more"}, {"y", labels}}), {"array x is longer than it says"}));
  CHECK(holds_all(with({{"x", npy<float>("<f4", "(1, 4)", {1, 2, 3, 4})}, {"y", labels}}), {"[4]", "[2]"}));
  CHECK(holds_all(with({{"x", good.substr(0, good.size() - 3)}, {"y", labels}}), {"array x is cut off"}));
  CHECK(holds_all(with({{"x", npy<float>("<f4", "(2, 2)", {1, 2, 3, 4}, "True")}, {"y", labels}}),
                  {"Fortran", "ascontiguousarray"}));
  CHECK(holds_all(with({{"x", npy<float>("<U4", "(2, 2)", {1, 2, 3, 4})}, {"y", labels}}), {"type", "<U4"}));
  CHECK(holds_all(with({{"features", good}, {"y", labels}}), {"no array", "\"x\"", "\"features\""}));
  CHECK(holds_all(with({{"x", npy<float>("<f4", "(99999999999, 99999999999)", {})}, {"y", labels}}),
                  {"shape"}));
  write_text(file, "no zip");
  CHECK(holds_all(why_not(options, schema), {"data.npz cannot be opened"}));
}

TEST_CASE("folders of images: PNG and JPEG, grey and colour") {
  const auto folder = TemporaryFolder();
  std::filesystem::create_directories(folder / "cats");
  std::filesystem::create_directories(folder / "dogs");
  write_png(folder / "cats" / "1.png", 2, 1, 1, {0, 255});
  write_jpeg(folder / "dogs" / "1.jpg", 2, 1, {255, 255});
  const auto options = options_for("images", folder.path());
  auto schema = schema_of(options);
  CHECK(schema.classes == std::vector<std::string>{"cats", "dogs"});
  CHECK(schema.shape == std::vector<std::int64_t>{1, 1, 2});
  const auto grey = load(options, schema, {true, false});
  CHECK(sample(*grey.train, 0) == std::vector<float>{-1, 1});
  CHECK(sample(*grey.train, 1) == std::vector<float>{1, 1});
  CHECK(grey.train->label(1) == 1);

  write_png(folder / "dogs" / "2.png", 2, 1, 3, {255, 0, 0, 0, 255, 0});
  schema = schema_of(options);
  CHECK(schema.shape == std::vector<std::int64_t>{3, 1, 2});
  const auto colour = load(options, schema, {true, false});
  CHECK(sample(*colour.train, 2) == std::vector<float>{1, -1, -1, 1, -1, -1});  // red, green, blue
  CHECK(sample(*colour.train, 0) == std::vector<float>{-1, 1, -1, 1, -1, 1});   // grey in each

  write_png(folder / "dogs" / "3.png", 1, 1, 1, {0});
  write_text(folder / "dogs" / "4.png", "no image");
  std::filesystem::create_directories(folder / "birds");
  write_png(folder / "birds" / "1.png", 2, 1, 1, {0, 0});
  CHECK(holds_all(why_not(options, schema),
                  {"3.png has 1 × 1 pixels", "2 × 1", "4.png is neither a PNG nor a JPEG",
                   "birds is none of the classes \"cats\" and \"dogs\""}));
}

TEST_CASE("idx files of any size") {
  const auto folder = IdxFolder();
  folder.write("train-images-idx3-ubyte", IdxBytes{{2, 1, 3}, {0, 0, 255, 255, 0, 0}}.encode());
  folder.write("train-labels-idx1-ubyte", IdxBytes{{2}, {0, 3}}.encode());
  const auto options = options_for("idx", folder.path());
  auto schema = schema_of(options);
  CHECK(schema.shape == std::vector<std::int64_t>{1, 1, 3});
  CHECK(schema.class_count() == 4);
  CHECK(sample(*load(options, schema, {true, false}).train, 1) == std::vector<float>{1, -1, -1});
  schema.classes.pop_back();
  CHECK(holds_all(why_not(options, schema), {"label 3 at position 1"}));
}

TEST_CASE("text: every character is predicted from those before it, and never from another file's") {
  const auto folder = TemporaryFolder();
  write_text(folder / "a.txt", "ab\r\ncd\xc3\xa4");
  write_text(folder / "b.txt", "efgh");
  auto options = options_for("text", folder.path());
  options.text_length = 3;
  const auto schema = schema_of(options);
  CHECK(schema.class_count() == 98);
  const auto code = [&](char letter) { return static_cast<float>(letter - 32 + 1); };
  const auto data = load(options, schema, {true, false, false, 2});
  REQUIRE(data.owners.size() == 2);
  CHECK(data.owners[0] == std::vector<std::uint32_t>{0, 1, 2, 3});
  CHECK(data.owners[1] == std::vector<std::uint32_t>{7});
  CHECK(sample(*data.train, 0) == std::vector<float>{code('a'), code('b'), 0});
  CHECK(data.train->label(0) == static_cast<std::int64_t>(code('c')));
  CHECK(data.train->label(2) == 97);
  CHECK(sample(*data.train, 7) == std::vector<float>{code('e'), code('f'), code('g')});
  // What is tested on lies in one file too, and what is validated on was not seen in training.
  options.test_file = folder.path();
  const auto tested = load(options, schema, {false, true});
  CHECK(tested.test->size() == 5);
  options.test_file.clear();
  auto seen = DataView{data.train, {0, 1, 2, 3, 4, 5, 6}};
  CHECK(split_validation(seen, 0.2, 1).rows == std::vector<std::uint32_t>{6});
  CHECK(seen.rows == std::vector<std::uint32_t>{0, 1, 2});
  // One text is cut into as many stretches as there are clients.
  options.file = folder / "a.txt";
  options.text_length = 2;
  CHECK(load(options, schema_of(options), {true, false, false, 2}).owners ==
        std::vector<std::vector<std::uint32_t>>{{0}, {3, 4}});
  options.file = folder.path();
  options.text_length = 4;
  CHECK(holds_all(why_not(options, schema_of(options)), {"b.txt", "too few characters", "data.text_length"}));
}

TEST_CASE("what to predict from may or may not say what is right") {
  const auto folder = TemporaryFolder();
  write_text(folder / "train.csv", "x,y\n1,no\n2,yes\n");
  const auto schema = schema_of(options_for("csv", folder / "train.csv"));
  auto unseen = load_unseen(folder / "train.csv", schema);
  REQUIRE(unseen);
  CHECK(unseen->has_target);
  CHECK(unseen->data->label(1) == 1);
  write_text(folder / "new.csv", "x\n5\n6\n7\n");
  unseen = load_unseen(folder / "new.csv", schema);
  REQUIRE(unseen);
  CHECK_FALSE(unseen->has_target);
  CHECK(unseen->names == std::vector<std::string>{"1", "2", "3"});
  CHECK(sample(*unseen->data, 2) == std::vector<float>{7});
}

TEST_CASE("files and settings that are not there are named") {
  CHECK(holds_all(find_schema(options_for("csv", ""), true).error().text, {"data.file", "data.schema"}));
  CHECK(holds_all(find_schema(options_for("csv", "/nowhere/x.csv"), true).error().text,
                  {"/nowhere/x.csv", "does not exist"}));
  const auto folder = TemporaryFolder();
  CHECK(holds_all(find_schema(options_for("npz", folder.path()), true).error().text,
                  {"no file that ends with .npz"}));
  CHECK(holds_all(find_schema(options_for("images", folder.path()), true).error().text,
                  {"no folders with images"}));
}
