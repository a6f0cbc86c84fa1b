#include "runtime/client_speeds.hpp"

#include <doctest/doctest.h>

#include <algorithm>

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
