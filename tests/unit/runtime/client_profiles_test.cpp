#include "runtime/client_profiles.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

#include "tests/support/temporary_folder.hpp"

TEST_CASE("clients are as fast as configured") {
  auto clients = fl::ClientsOptions();
  clients.count = 4;
  CHECK(fl::client_speeds(clients, 1) == std::vector<double>{1, 1, 1, 1});

  clients.speed = "list";
  clients.speed_list = {1, 1, 1, 10};
  CHECK(fl::client_speeds(clients, 1) == std::vector<double>{1, 1, 1, 10});

  clients.speed = "lognormal";
  clients.count = 200;
  const auto speeds = fl::client_speeds(clients, 1);
  CHECK(speeds.size() == 200);
  CHECK(*std::min_element(speeds.begin(), speeds.end()) == 1);
  CHECK(*std::max_element(speeds.begin(), speeds.end()) > 5);
  CHECK(fl::client_speeds(clients, 1) == speeds);
  CHECK(fl::client_speeds(clients, 2) != speeds);
  clients.speed_sigma = 0;
  CHECK(fl::client_speeds(clients, 1) == std::vector<double>(200, 1.0));
}

namespace {

fl::Result<std::vector<fl::ClientProfile>> with_trace(const std::string& text, std::uint32_t count = 3) {
  const auto folder = fl::test::TemporaryFolder();
  auto clients = fl::ClientsOptions();
  clients.count = count;
  clients.trace = folder.path() / "devices.csv";
  std::ofstream(clients.trace) << text;
  return fl::client_profiles(clients, 1);
}

}  // namespace

TEST_CASE("pareto speeds have a long tail") {
  auto clients = fl::ClientsOptions();
  clients.count = 1'000;
  clients.speed = "pareto";
  auto speeds = fl::client_speeds(clients, 1);
  std::ranges::sort(speeds);
  CHECK(speeds.front() == 1);
  CHECK(speeds[500] == doctest::Approx(std::pow(2, 1 / 1.5)).epsilon(0.1));
  CHECK(speeds.back() > 20);
}

TEST_CASE("profiles are as configured, and the same for the same seed") {
  auto clients = fl::ClientsOptions();
  clients.count = 50;
  clients.up_mbit_s = 8;
  clients.latency_ms = 20;
  clients.dropout = 0.1;
  auto profiles = fl::client_profiles(clients, 1).value();
  CHECK(profiles[7].up_bytes_per_s == 1e6);
  CHECK(profiles[7].down_bytes_per_s == 0);
  CHECK(profiles[7].latency_s == 0.02);
  CHECK(profiles[7].dropout == 0.1);
  CHECK(profiles[7].availability == nullptr);

  clients.network_sigma = 1;
  clients.availability = "diurnal";
  clients.online_share = 0.25;
  profiles = fl::client_profiles(clients, 1).value();
  const auto again = fl::client_profiles(clients, 1).value();
  auto there = 0;
  for (auto i = std::size_t{0}; i < profiles.size(); ++i) {
    CHECK(profiles[i].up_bytes_per_s == again[i].up_bytes_per_s);
    there += profiles[i].availability->online_at(0) ? 1 : 0;
  }
  CHECK(profiles[0].up_bytes_per_s != profiles[1].up_bytes_per_s);
  CHECK(there > 3);
  CHECK(there < 25);

  clients.availability = "always";
  clients.join_spread_s = 100;
  profiles = fl::client_profiles(clients, 1).value();
  CHECK_FALSE(profiles[3].availability->online_at(0));
  CHECK(profiles[3].availability->online_at(100));
}

TEST_CASE("a trace says what each device is like") {
  const auto profiles = with_trace(
      "# three columns\n"
      "speed, down_mbit_s ,online_s,online_period_s\n"
      "2,16,0-10 20-30,100\n"
      "\n"
      "1,,,\n");
  REQUIRE(profiles.has_value());
  CHECK((*profiles)[0].speed == 2);
  CHECK((*profiles)[0].down_bytes_per_s == 2e6);
  CHECK((*profiles)[0].availability->online_at(125));
  CHECK((*profiles)[1].speed == 1);
  CHECK((*profiles)[1].availability == nullptr);
  CHECK((*profiles)[2].speed == 2);  // from the start again
}

TEST_CASE("the example trace can be read") {
  auto clients = fl::ClientsOptions();
  clients.trace = std::filesystem::path(FL_SOURCE_DIR) / "configs/devices.csv";
  const auto profiles = fl::client_profiles(clients, 1);
  INFO((profiles ? std::string() : profiles.error().text));
  CHECK(profiles.has_value());
}

TEST_CASE("a trace that cannot be read says where and what is valid") {
  const auto says = [](const std::string& text, const std::string& part) {
    const auto profiles = with_trace(text);
    REQUIRE_FALSE(profiles.has_value());
    CHECK(profiles.error().code == fl::ec::bad_config);
    INFO(profiles.error().text);
    CHECK(profiles.error().text.find(part) != std::string::npos);
  };
  says("", "no device");
  says("speed\n", "no device");
  says("sped\n1\n", "devices.csv:1: unknown column \"sped\"; there are down_mbit_s, dropout");
  says("speed,dropout\n1\n", ":2: 1 values where the header names 2 columns");
  says("speed\n1\n0\n", ":3: speed = \"0\"; valid is a number above 0");
  says("speed\nfast\n", "speed = \"fast\"");
  says("speed\nnan\n", "speed = \"nan\"");
  says("dropout\n1\n", "dropout = \"1\"");
  says("online_s\n5-3\n", "online_s = \"5-3\"; valid is windows");
  says("online_s\n0-5 4-6\n", "online_s");
  says("online_s,online_period_s\n0-50,40\n", "online_s ends after online_period_s");
  auto clients = fl::ClientsOptions();
  clients.trace = "/nowhere/devices.csv";
  CHECK(fl::client_profiles(clients, 1).error().text.find("cannot be read") != std::string::npos);
}
