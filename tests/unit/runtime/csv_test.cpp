#include "runtime/csv.hpp"

#include <doctest/doctest.h>

using namespace fl;

TEST_CASE("fields are quoted where they must be") {
  CHECK(csv_row({"a", "", "1.5"}) == "a,,1.5\n");
  CHECK(csv_row({"a,b", "say \"x\"", "two\nlines"}) == "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\"\n");
}

TEST_CASE("lines of JSON become rows under the keys of the first") {
  const auto table = csv_of_json_lines(
      "{\"version\":1,\"loss\":0.125,\"accuracy\":null}\n"
      "{\"accuracy\":0.5,\"version\":2,\"new\":7}\n"
      "{\"version\":3,\"lo");
  REQUIRE(table.has_value());
  CHECK(*table == "version,loss,accuracy\n1,0.125,\n2,,0.5\n");
  CHECK(csv_of_json_lines("") == "");
  const auto damaged = csv_of_json_lines("{\"version\":1}\nnonsense\n");
  REQUIRE_FALSE(damaged.has_value());
  CHECK(damaged.error().code == ec::corrupt_data);
  CHECK(damaged.error().text.find("line 2") != std::string::npos);
}
