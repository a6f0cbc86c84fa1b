#include "runtime/report.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace fl;

TEST_CASE("an object is a line a value, a list of objects a table, amounts as people read them") {
  auto report = Report();
  report["name"] = "first\x1b[2J";
  report["size_bytes"] = 1'234'567;
  report["best_accuracy"] = 0.9712;
  report["duration_s"] = 83;
  report["kept_versions"] = {8, 9};
  report["refused"] = {{"flood", 2}, {"too_stale", 1}};
  report["nothing"] = nullptr;
  report["tensors"] = {{{"name", "weight"}, {"values", 12345}, {"mean", 0.123456}},
                       {{"name", "b"}, {"values", 7}, {"mean", nullptr}}};
  CHECK(report_text(report) ==
        "name           first?[2J\n"
        "size           1.23 MB\n"
        "best accuracy  97.12 %\n"
        "duration       1 min 23 s\n"
        "kept versions  8,9\n"
        "refused        flood 2, too_stale 1\n"
        "\n"
        "tensors\n"
        "name    values    mean\n"
        "weight   12345  0.1235\n"
        "b            7       -\n");
}

TEST_CASE("a report for programs is the same as JSON, whatever bytes names hold") {
  auto report = Report::array();
  report.push_back({{"name", "a\xff"}, {"accuracy", std::numeric_limits<double>::quiet_NaN()}});
  const auto json = Report::parse(report_json(report));
  CHECK(json[0]["name"] == "a\xef\xbf\xbd");
  CHECK(json[0]["accuracy"].is_null());
  CHECK(report_text(Report::array()).empty());
}
