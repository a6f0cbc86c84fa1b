#include <doctest/doctest.h>

#include "runtime/run_history.hpp"
#include "runtime/svg_plot.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace fl;

TEST_CASE("what a run reached when") {
  auto run = RunHistory();
  run.clients = 3;
  CHECK(run.best_accuracy() < 0);
  CHECK(run.reached(0.5) == nullptr);
  run.versions = {{1, 10, 100, std::nullopt}, {2, 20, 200, 0.4}, {3, 30, 300, 0.8}, {4, 40, 400, 0.7}};
  CHECK(run.best_accuracy() == 0.8);
  REQUIRE(run.reached(0.5) != nullptr);
  CHECK(run.reached(0.5)->time_s == 3);
  CHECK(run.reached(0.9) == nullptr);
  run.decisions = {{0, 0, 1, 0, true}, {0, 1, 2, 0, true}, {2, 0, 2, 1, true}, {1, 0, 2, 1, false}};
  CHECK(run.contributions() == std::vector<std::uint64_t>{2, 0, 1});
}

TEST_CASE("a folder without a run is refused") {
  const auto folder = test::TemporaryFolder();
  const auto history = read_history(folder.path());
  REQUIRE_FALSE(history.has_value());
  CHECK(history.error().code == ec::bad_config);
  CHECK(history.error().text.find("holds no run") != std::string::npos);
}

TEST_CASE("plots hold what they are given, and no more markup than theirs") {
  const auto plot = line_plot({"time, s", "a < b"}, {{"x & \"y\"", 0, {{0, 0.1}, {10, 0.9}}}});
  CHECK(plot.starts_with("<svg"));
  CHECK(plot.ends_with("</svg>"));
  CHECK(plot.find("a &lt; b") != std::string::npos);
  CHECK(plot.find("x &amp; &quot;y&quot;") != std::string::npos);
  CHECK(plot.find("nan") == std::string::npos);
  CHECK(plot.find("inf") == std::string::npos);
  CHECK(line_plot({"x", "y"}, {}).find("nothing to plot") != std::string::npos);
  // One point, equal values: the axes still have a length.
  const auto flat = line_plot({"x", "y"}, {{"one", 0, {{5, 0.5}, {6, 0.5}}}});
  CHECK(flat.find("nan") == std::string::npos);
  const auto bars = line_plot({"x", "y", true}, {{"one", 0, {{0, 0.5}, {3, 0.25}}}, {"two", 1, {{1, 1}}}});
  CHECK(bars.find(plot_colour(1)) != std::string::npos);
  const auto strip = strip_plot("s", 0, 10, {{"7", {{0, 3, true}, {3, 12, false}}}}, 2);
  CHECK(strip.find(plot_colour(2)) != std::string::npos);
  CHECK(strip.find("#b00020") != std::string::npos);
}
