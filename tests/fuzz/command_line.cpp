// The command line: arguments (a line each), and with them values of --set, addresses and chaos entries.
#include "runtime/command_line.hpp"

#include <string>

#include "actors/chaos.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace fl::fuzz {

namespace {

std::vector<std::string> lines_of(Input input) {
  auto lines = std::vector<std::string>();
  auto text = std::string(text_of(input));
  for (auto from = std::size_t{0}; from <= text.size();) {
    const auto end = std::min(text.find('\n', from), text.size());
    // An argument ends at a zero.
    lines.emplace_back(text.substr(from, end - from).c_str());
    from = end + 1;
  }
  return lines;
}

void check_address(const std::string& text) {
  const auto address = parse_host_port(text);
  if (!address) {
    require(address.error().code == ec::bad_config, "a bad address is bad configuration");
    return;
  }
  require(!address->host.empty(), "an address has a host");
  const auto written =
      address->host.find(':') == std::string::npos ? address->host : "[" + address->host + "]";
  const auto port = address->port ? ":" + std::to_string(*address->port) : "";
  const auto again = parse_host_port(written + port);
  require(again.has_value() && *again == *address, "an address comes back the same");
}

void run(Input input) {
  const auto lines = lines_of(input);
  auto arguments = std::vector<const char*>{"fl_actor_node"};
  for (const auto& line : lines) {
    arguments.push_back(line.c_str());
    check_address(line);
    (void)Chaos::parse({line});
  }
  const auto command = parse_command_line(static_cast<int>(arguments.size()), arguments.data());
  if (!command) {
    require(!command.error().text.empty(), "who refuses says why");
    return;
  }
  // Without the file that it may name.
  const auto config = parse_config("", "run.toml", command->config.settings);
  if (!config) {
    require(config.error().code == ec::bad_config && !config.error().text.empty(),
            "a bad setting is bad configuration");
    return;
  }
  const auto resolved = to_toml(*config);
  const auto again = parse_config(resolved, "config.toml");
  require(again.has_value() && to_toml(*again) == resolved, "a resolved configuration comes back the same");
}

std::vector<Seed> seeds() {
  return {
      {"simulate",
       bytes_of("--role\nsimulate\n--set\nclients.speed=list\n--set\nclients.speed_list=1,2,3\n--seed\n7")},
      {"aggregator",
       bytes_of("--role\naggregator\n--bind\n::1\n--port\n0\n--set\nrun.max_seconds=1.5\n--resume")},
      {"client", bytes_of("--role\nclient\n--join\n[2001:db8::1]:4242\n--name\nward-7\n--log-level\ndebug")},
      {"status", bytes_of("status\nexample.org:4242")},
      {"replay", bytes_of("replay\nruns/a\n--until\n7\n--without\nward-7")},
      {"chaos",
       bytes_of("--role\nsimulate\n--set\nchaos.crash=[\"client-2@task=2\"]\n--set\nrun.seed=0x10")}};
}

const auto registration = Registration({"command_line", run, seeds});

}  // namespace

}  // namespace fl::fuzz
