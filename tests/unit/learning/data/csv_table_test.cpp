#include "learning/data/csv_table.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/temporary_folder.hpp"

using namespace fl;
using namespace fl::test;

namespace {

struct Table {
  TemporaryFolder folder;
  std::filesystem::path file = folder / "table.csv";

  explicit Table(const std::string& text) { write_text(file, text); }
};

DataSchema schema_of(const std::filesystem::path& file, bool labels = true, DatasetOptions options = {}) {
  options.name = "csv";
  const auto schema = find_csv_schema({file}, options, labels);
  REQUIRE_MESSAGE(schema, schema.error().text);
  return *schema;
}

std::string why_not(const std::string& text, const DataSchema& schema) {
  const auto table = Table(text);
  auto samples = Samples();
  const auto read = read_csv_samples(table.file, schema, true, samples);
  REQUIRE_FALSE(read);
  CHECK(read.error().code == ec::bad_data);
  return read.error().text;
}

const auto kPatients = std::string(
    "age,sex,stage,diagnosis\n"
    "61,f,2,malignant\n"
    "NA,m,1,benign\n"
    "40.5,,2,benign\n");

}  // namespace

TEST_CASE("a table says which columns are numbers, categories and classes") {
  const auto table = Table(kPatients);
  const auto schema = schema_of(table.file);
  CHECK(schema.target == "diagnosis");
  CHECK(schema.classes == std::vector<std::string>{"benign", "malignant"});
  REQUIRE(schema.columns.size() == 3);
  CHECK(schema.columns[0].is_number());
  CHECK(schema.columns[1].categories == std::vector<std::string>{"f", "m"});
  CHECK(schema.columns[2].is_number());
  CHECK(schema.shape == std::vector<std::int64_t>{4});
  CHECK(input_names(schema) == std::vector<std::string>{"age", "sex=f", "sex=m", "stage"});

  auto samples = Samples();
  REQUIRE(read_csv_samples(table.file, schema, true, samples));
  CHECK(samples.labels == std::vector<std::int64_t>{1, 0, 0});
  REQUIRE(samples.features.size() == 12);
  CHECK(samples.features[0] == 61);
  CHECK(samples.features[1] == 1);
  CHECK(samples.features[2] == 0);
  CHECK(std::isnan(samples.features[4]));  // an unknown number
  CHECK(samples.features[9] == 0);         // of an unknown category nothing holds
  CHECK(samples.features[10] == 0);
}

TEST_CASE("columns can be left out, be categories though they are numbers, and be predicted as numbers") {
  const auto table = Table(kPatients);
  auto options = DatasetOptions();
  options.ignore = {"diagnosis"};
  options.categorical = {"stage"};
  options.target = "age";
  const auto schema = schema_of(table.file, false, options);
  CHECK(schema.classes.empty());
  REQUIRE(schema.columns.size() == 2);
  CHECK(schema.columns[1].categories == std::vector<std::string>{"1", "2"});
  CHECK(why_not(kPatients, schema).find("row 2 (line 3), column \"age\": the target is missing") !=
        std::string::npos);
}

TEST_CASE(
    "separators, quotes, byte order marks, line ends, blank lines and the order of columns do not matter") {
  const auto plain = Table("x,name,y\n1.5,\"a, b\",0\n2,\"say \"\"c\"\"\",1\n");
  const auto schema = schema_of(plain.file);
  CHECK(schema.columns[1].categories == std::vector<std::string>{"a, b", "say \"c\""});
  for (const auto* text : {"\xef\xbb\xbfx;name;y\r\n+1.5;a, b;0\r\n\r\n2;\"say \"\"c\"\"\";1.0",
                           "y\tmore\tname\tx\n0\tz\ta, b\t1.50\n1\tz\t\"say \"\"c\"\"\"\t2e0\n"}) {
    const auto other = Table(text);
    auto samples = Samples();
    const auto read = read_csv_samples(other.file, schema, true, samples);
    REQUIRE_MESSAGE(read, read.error().text);
    CHECK(samples.features == std::vector<float>{1.5, 1, 0, 2, 0, 1});
    CHECK(samples.labels == std::vector<std::int64_t>{0, 1});
  }
}

TEST_CASE("what is wrong with a table is said by row, line and column") {
  const auto table = Table(kPatients);
  const auto schema = schema_of(table.file);
  const auto header = std::string("age,sex,stage,diagnosis\n");
  CHECK(holds_all(why_not(header + "6O,f,1,benign\n", schema),
                  {"table.csv", "row 1 (line 2)", "column \"age\"", "\"6O\" is no number"}));
  CHECK(holds_all(why_not(header + "6,f,1,benign\n\n\"1,5\",f,1,benign\n", schema),
                  {"row 2 (line 4)", "decimals are written with a point"}));
  CHECK(holds_all(why_not(header + "6,x,1,benign\n", schema),
                  {"column \"sex\"", "\"x\" is none of its categories \"f\" and \"m\""}));
  CHECK(holds_all(why_not(header + "6,f,1,cured\n", schema),
                  {"column \"diagnosis\"", "\"cured\" is none of the classes \"benign\" and \"malignant\""}));
  CHECK(holds_all(why_not(header + "6,f,1\n", schema), {"row 1", "has 3 fields, and the header 4"}));
  CHECK(holds_all(why_not(header + "1e60,f,1,benign\n", schema), {"too large for 32 bits"}));
  CHECK(holds_all(why_not(header + "inf,f,1,benign\n", schema), {"\"inf\" is no number"}));
  CHECK(holds_all(why_not("age,stage,diagnosis\n6,1,benign\n", schema),
                  {"has no column \"sex\"", "\"age\", \"stage\" and \"diagnosis\""}));
  CHECK(holds_all(why_not("age,age,diagnosis\n", schema), {"has the column \"age\" twice"}));
  CHECK(holds_all(why_not("", schema), {"is empty"}));
  CHECK(holds_all(why_not(header + "6,f,1,gr\xf6\xdf"
                                   "er\n",
                          schema),
                  {"not UTF-8 at line 2"}));
  CHECK(holds_all(why_not(std::string("a\0g\0e\0\n", 7), schema), {"not UTF-8 at line 1"}));
  CHECK(holds_all(why_not(header, schema), {"no rows"}));
  CHECK(holds_all(why_not(header + "6,f\"f,1,benign\n", schema), {"at line 2", "quote"}));
  CHECK(holds_all(why_not(header + "6,\"f,1,benign\n7,f,1,benign\n", schema), {"quote"}));
  auto many = header;
  for (auto row = 0; row < 9; ++row) many += "x,f,1,benign\n";
  CHECK(holds_all(why_not(many, schema), {"row 5", "and 4 more"}));
}

TEST_CASE("categories and classes are what the table says, and numbers may be written in two ways") {
  const auto table = Table("code,answer\n007,None\n7,no\n007,1\n");
  auto options = DatasetOptions();
  options.categorical = {"code"};
  const auto schema = schema_of(table.file, true, options);
  CHECK(schema.columns[0].categories == std::vector<std::string>{"007", "7"});
  CHECK(schema.classes == std::vector<std::string>{"1", "None", "no"});
  auto samples = Samples();
  REQUIRE(read_csv_samples(table.file, schema, true, samples));
  CHECK(samples.labels == std::vector<std::int64_t>{1, 2, 0});
  CHECK(samples.features == std::vector<float>{1, 0, 0, 1, 1, 0});
}

TEST_CASE("without standardisation a missing number has no meaning") {
  auto schema = schema_of(Table(kPatients).file);
  schema.standardise = false;
  CHECK(holds_all(why_not(kPatients, schema),
                  {"row 2 (line 3), column \"age\"", "missing", "data.standardise"}));
}

TEST_CASE("tables whose columns cannot be understood are refused") {
  const auto refused = [](const std::string& text, DatasetOptions options = {}) {
    const auto table = Table(text);
    const auto schema = find_csv_schema({table.file}, options, true);
    REQUIRE_FALSE(schema);
    return schema.error().text;
  };
  auto options = DatasetOptions();
  options.target = "outcome";
  CHECK(holds_all(refused("a,b\n1,2\n", options), {"no column \"outcome\"", "data.target"}));
  options = {};
  options.ignore = {"c"};
  CHECK(holds_all(refused("a,b\n1,2\n", options), {"no column \"c\"", "data.ignore"}));
  CHECK(holds_all(refused("a,b\n1,x\n2,x\n"), {"fewer than two different values", "\"b\""}));
  auto names = std::string("name,b\n");
  for (auto row = 0; row < 300; ++row)
    names += "n" + std::to_string(row) + "," + std::to_string(row % 2) + "\n";
  CHECK(holds_all(refused(names), {"more than 256 different values", "\"name\"", "data.ignore"}));
}

TEST_CASE("a schema survives its JSON, and a damaged one is refused") {
  const auto schema = schema_of(Table(kPatients).file);
  const auto back = parse_schema(to_json(schema));
  REQUIRE_MESSAGE(back, back.error().text);
  CHECK(*back == schema);
  for (const auto* text :
       {"", "{}", "[]", R"({"kind": "text", "shape": [20], "classes": ["a", "b"]})",
        R"({"kind": "images", "shape": [4, 6, 6], "classes": ["a", "b"], "pixels": true})",
        R"({"kind": "images", "shape": [36], "classes": ["a", "b"], "pixels": true})",
        R"({"kind": "images", "shape": [1, 6, 6], "classes": ["a", "b"]})",
        R"({"kind": "idx", "shape": [3, 6, 6], "classes": ["a", "b"], "pixels": true})",
        R"({"kind": "npz", "shape": [3], "pixels": true})",
        R"({"kind": "csv", "target": "y", "columns": []})", R"({"kind": "table", "shape": [3]})",
        R"({"kind": "npz", "shape": []})", R"({"kind": "npz", "shape": [4611686018427387904, 4]})",
        R"({"kind": "npz", "shape": [2], "classes": ["a"]})",
        R"({"kind": "npz", "shape": [2], "classes": ["a", "a"]})",
        R"({"kind": "csv", "target": "y", "columns": [{"name": "y"}]})"})
    CHECK_MESSAGE(!parse_schema(text), text);
}
