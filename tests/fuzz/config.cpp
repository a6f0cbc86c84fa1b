// A TOML configuration.
#include "runtime/config.hpp"

#include "tests/fuzz/fuzz_target.hpp"

namespace fl::fuzz {

namespace {

void run(Input input) {
  const auto config = parse_config(text_of(input), "run.toml");
  if (!config) {
    require(config.error().code == ec::bad_config && !config.error().text.empty(),
            "a bad file is bad configuration");
    return;
  }
  const auto resolved = to_toml(*config);
  const auto again = parse_config(resolved, "config.toml");
  require(again.has_value(), "a resolved configuration can be read");
  require(to_toml(*again) == resolved, "a resolved configuration comes back the same");
  require(!first_identity_difference(*config, *again), "a resolved configuration is of the same run");
}

std::vector<Seed> seeds() {
  return {
      {"default", bytes_of(default_toml())},
      {"resolved", bytes_of(to_toml(default_config()))},
      {"small", bytes_of("[run]\nseed = 7\n[clients]\ncount = 2\nspeed = \"list\"\nspeed_list = [1, 2.5]\n")},
      {"dotted", bytes_of("run.seed = 0x7f\nmodel.name = 'flat'\nmodel.parameters = 1_000\n")}};
}

const auto registration = Registration({"config", run, seeds});

}  // namespace

}  // namespace fl::fuzz
