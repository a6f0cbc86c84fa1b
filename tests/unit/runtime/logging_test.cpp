#include "runtime/logging.hpp"

#include <doctest/doctest.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>
#include <vector>

namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

const system_clock::time_point kMoment{milliseconds(1'700'000'000'042)};  // 2023-11-14T22:13:20.042Z

/// Collects what is logged, and puts the default logger back at the end.
struct Collected {
  std::shared_ptr<spdlog::logger> before = spdlog::default_logger();
  std::vector<std::string> lines;
  fl::LogRoute route{[this](std::string_view line) { lines.emplace_back(line); }};

  ~Collected() { spdlog::set_default_logger(before); }
};

}  // namespace

TEST_CASE("a JSON line parses whatever the message holds") {
  const std::string message = "quote \" backslash \\ newline \n tab \t umlaut ä bell \a";
  const std::string line = fl::json_log_line(kMoment, "warn", message);
  CHECK(line.find('\n') == line.size() - 1);
  const auto json = nlohmann::json::parse(line);
  CHECK(json.size() == 3);
  CHECK(json.at("time") == "2023-11-14T22:13:20.042Z");
  CHECK(json.at("level") == "warn");
  CHECK(json.at("message") == message);
}

TEST_CASE("bytes that are no UTF-8 are replaced in JSON") {
  const auto json = nlohmann::json::parse(fl::json_log_line(kMoment, "info",
                                                            "a\xff\xfe"
                                                            "b"));
  CHECK(json.at("message") ==
        "a\xef\xbf\xbd\xef\xbf\xbd"
        "b");
}

TEST_CASE("a text line is time, level and text") {
  const std::string line = fl::text_log_line(kMoment, "info", "listening on 127.0.0.1:4242", false);
  CHECK(line.size() == std::string("22:13:20 info  listening on 127.0.0.1:4242\n").size());
  CHECK(line.substr(2, 1) == ":");
  CHECK(line.substr(8) == " info  listening on 127.0.0.1:4242\n");
  CHECK(fl::text_log_line(kMoment, "warn", "x", true).substr(8) == " \x1b[33mwarn \x1b[0m x\n");
}

TEST_CASE("no message can pass for another line or steer the terminal") {
  const std::string line = fl::text_log_line(kMoment, "info", "name \x1b[2J\n22:13:21 error forged", false);
  CHECK(line.substr(8) == " info  name ?[2J\n  22:13:21 error forged\n");
}

TEST_CASE("messages below the level are not logged") {
  Collected collected;
  REQUIRE(fl::set_up_logging({"warn", false}));
  spdlog::info("not shown");
  spdlog::warn("{} shown", 1);
  spdlog::error("2 shown");
  REQUIRE(collected.lines.size() == 2);
  CHECK(collected.lines[0].find("warn  1 shown\n") != std::string::npos);
  CHECK(collected.lines[1].find("error 2 shown\n") != std::string::npos);

  REQUIRE(fl::set_up_logging({"off", false}));
  spdlog::error("not shown");
  CHECK(collected.lines.size() == 2);
}

TEST_CASE("with JSON each logged line is an object") {
  Collected collected;
  REQUIRE(fl::set_up_logging({"debug", true}));
  spdlog::debug("task {}", 7);
  REQUIRE(collected.lines.size() == 1);
  const auto json = nlohmann::json::parse(collected.lines[0]);
  CHECK(json.at("level") == "debug");
  CHECK(json.at("message") == "task 7");
}

TEST_CASE("an unknown level is refused with the levels there are") {
  const auto result = fl::set_up_logging({"loud", false});
  REQUIRE_FALSE(result);
  CHECK(result.error().code == fl::ec::bad_config);
  CHECK(result.error().text == "log level \"loud\" is none of trace, debug, info, warn, error, off");
}

TEST_CASE("a listener hears what is news, whatever is written") {
  auto collected = Collected();
  REQUIRE(fl::set_up_logging({.level = "error"}));
  auto heard = std::vector<std::string>();
  {
    const auto listener = fl::LogListener([&](auto, std::string_view level, std::string_view message) {
      heard.push_back(std::string(level) + " " + std::string(message));
    });
    spdlog::debug("a task");
    spdlog::info("a client joined");
    spdlog::warn("an actor crashed");
    spdlog::error("no room");
  }
  spdlog::info("nobody listens");
  CHECK(heard == std::vector<std::string>{"info a client joined", "warn an actor crashed", "error no room"});
  REQUIRE(collected.lines.size() == 1);
  CHECK(collected.lines[0].find("no room") != std::string::npos);
}
