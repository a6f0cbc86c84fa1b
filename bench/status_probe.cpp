// How long an aggregator takes for a small message while it does other things: asks it for its status again
// and again over one connection.
//
//   bench_status_probe HOST PORT SECONDS     prints: questions, median, 99th percentile and longest, in
//   milliseconds
#include <algorithm>
#include <caf/io/all.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "actors/actors.hpp"
#include "runtime/actor_system.hpp"

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: bench_status_probe HOST PORT SECONDS\n", stderr);
    return 2;
  }
  using Clock = std::chrono::steady_clock;
  const auto net = fl::NetOptions();
  auto config = fl::NodeSystemConfig(net, true);
  auto system = caf::actor_system(config);
  fl::close_remote_services(system);
  auto self = caf::scoped_actor(system);
  const auto gateway = system.middleman().remote_actor<fl::gateway_actor>(
      argv[1], static_cast<std::uint16_t>(std::atoi(argv[2])));
  if (!gateway) {
    std::fputs("no aggregator answers there\n", stderr);
    return 1;
  }
  auto milliseconds = std::vector<double>();
  const auto end = Clock::now() + std::chrono::seconds(std::atoi(argv[3]));
  while (Clock::now() < end) {
    const auto begin = Clock::now();
    auto answered = true;
    self->request(*gateway, std::chrono::seconds(60), fl::status_atom_v)
        .receive([](const fl::RunStatus&) {}, [&](const caf::error&) { answered = false; });
    if (!answered) break;  // the run is over
    milliseconds.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  if (milliseconds.empty()) return 1;
  std::ranges::sort(milliseconds);
  std::printf("%zu %.2f %.2f %.2f\n", milliseconds.size(), milliseconds[milliseconds.size() / 2],
              milliseconds[milliseconds.size() * 99 / 100], milliseconds.back());
  return 0;
}
