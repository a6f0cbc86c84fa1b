#include "runtime/command_line.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/temporary_folder.hpp"

using fl::test::holds_all;

namespace {

tl::expected<fl::CommandLine, fl::CommandLineEnd> parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "fl_actor_node");
  return fl::parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

/// The text of a usage error.
std::string usage_error(const std::vector<const char*>& arguments) {
  const auto command = parse(arguments);
  REQUIRE_FALSE(command.has_value());
  CHECK(command.error().code == fl::ExitCode::refused);
  CHECK(command.error().text.ends_with("\n"));
  return command.error().text;
}

}  // namespace

TEST_CASE("the three roles with all their options") {
  const auto simulate = parse({"--role", "simulate", "--config", "a.toml", "--set", "run.max_versions=3",
                               "--set", "clients.speed_list=[1, 2]", "--out", "runs/x", "--resume", "--seed",
                               "7", "--no-progress", "--log-level", "debug", "--log-json"});
  REQUIRE(simulate.has_value());
  CHECK(simulate->action == fl::Action::run);
  CHECK(simulate->role == fl::Role::simulate);
  CHECK(simulate->config.files == std::vector<std::filesystem::path>{"a.toml"});
  CHECK(simulate->out == "runs/x");
  CHECK(simulate->resume);
  auto settings = std::vector<std::string>();
  for (const auto& setting : simulate->config.settings) settings.push_back(setting.key + "=" + setting.value);
  CHECK(settings == std::vector<std::string>{"run.max_versions=3", "clients.speed_list=[1, 2]", "run.seed=7",
                                             "log.level=debug", "log.json=true", "log.progress=false"});

  const auto aggregator = parse({"--role=aggregator", "--bind", "127.0.0.2", "--port", "0"});
  REQUIRE(aggregator.has_value());
  CHECK(aggregator->role == fl::Role::aggregator);
  CHECK_FALSE(aggregator->out.has_value());
  CHECK(aggregator->config.settings[0].key == "net.bind");
  CHECK(aggregator->config.settings[1].origin == "--port 0");

  const auto client = parse({"--role", "client", "--join", "example.org:17", "--name", "alice"});
  REQUIRE(client.has_value());
  CHECK(client->join == fl::HostPort{"example.org", 17});
  CHECK(client->name == "alice");
}

TEST_CASE("a pardon names a folder and a client") {
  const auto pardon = parse({"pardon", "runs/x", "ward-1"});
  REQUIRE(pardon.has_value());
  CHECK(pardon->action == fl::Action::pardon);
  CHECK(pardon->target == "runs/x");
  CHECK(pardon->name == "ward-1");
  CHECK_FALSE(parse({"pardon", "runs/x"}).has_value());
}

TEST_CASE("status, stop and config") {
  CHECK(parse({"status", "runs/x"})->action == fl::Action::status);
  CHECK(parse({"status", "runs/x"})->target == "runs/x");
  CHECK(parse({"stop", "localhost:4242"})->action == fl::Action::stop);
  CHECK(parse({"config", "default"})->action == fl::Action::config_default);
  CHECK(parse({"config", "docs"})->action == fl::Action::config_docs);
  const auto show = parse({"config", "show", "--config", "a.toml", "--set", "run.seed=2"});
  REQUIRE(show.has_value());
  CHECK(show->action == fl::Action::config_show);
  CHECK(show->config.files == std::vector<std::filesystem::path>{"a.toml"});
  CHECK(show->config.settings.size() == 1);
}

TEST_CASE("commands on runs that are there") {
  CHECK(parse({"runs"})->action == fl::Action::runs);
  CHECK(parse({"runs"})->target.empty());
  CHECK(parse({"runs", "old", "--json"})->json);
  CHECK(parse({"inspect", "a.snapshot"})->target == "a.snapshot");
  CHECK(parse({"config", "check", "a.toml", "b.toml"})->targets ==
        std::vector<std::string>{"a.toml", "b.toml"});
  CHECK(parse({"completion", "zsh"})->shell == fl::Shell::zsh);
  CHECK(parse({"man"})->action == fl::Action::manual);
  const auto metrics = parse({"export", "runs/x"});
  REQUIRE(metrics.has_value());
  CHECK(metrics->format == fl::ExportFormat::metrics);
  CHECK_FALSE(metrics->out.has_value());
  const auto model = parse({"export", "runs/x", "--format", "safetensors", "--version", "7", "--out", "m"});
  REQUIRE(model.has_value());
  CHECK(model->format == fl::ExportFormat::safetensors);
  CHECK(model->version == 7);
  CHECK(holds_all(usage_error({"export", "x", "--format", "xml"}), {"xml", "updates-csv"}));
  CHECK(holds_all(usage_error({"export", "x", "--format", "snapshot"}), {"--out FILE"}));
  CHECK(holds_all(usage_error({"export", "x", "--version", "7"}), {"--version", "safetensors"}));
  CHECK(holds_all(usage_error({"export", "x", "--format", "snapshot", "--out", "m", "--version", "last"}),
                  {"--version last", "number"}));
  CHECK(holds_all(usage_error({"completion", "fish"}), {"fish", "zsh"}));
  CHECK_FALSE(usage_error({"inspect"}).empty());
  CHECK_FALSE(usage_error({"config", "check"}).empty());
}

TEST_CASE("help teaches and ends well; nothing at all is a usage error with the same help") {
  const auto help = parse({"--help"});
  REQUIRE_FALSE(help.has_value());
  CHECK(help.error().code == fl::ExitCode::done);
  CHECK(holds_all(help.error().text, {"--role simulate",
                                      "--role aggregator",
                                      "--role client",
                                      "--join HOST[:PORT]",
                                      "--set",
                                      "--out",
                                      "--resume",
                                      "--seed",
                                      "--bind",
                                      "--port",
                                      "--name",
                                      "--no-progress",
                                      "--log-level",
                                      "--log-json",
                                      "--version",
                                      "--help",
                                      "status RUN_DIR|HOST[:PORT]",
                                      "stop ",
                                      "config default",
                                      "Examples:",
                                      "Exit codes:",
                                      "130",
                                      "docs/configuration.md"}));
  CHECK(usage_error({}) == help.error().text);

  const auto version = parse({"--version"});
  REQUIRE_FALSE(version.has_value());
  CHECK(version.error().code == fl::ExitCode::done);
  CHECK(holds_all(version.error().text, {"fl_actor_node ", "\n"}));
}

TEST_CASE("bad usage is said clearly") {
  CHECK(holds_all(usage_error({"--seed", "1"}), {"--role", "simulate", "--help"}));
  CHECK(holds_all(usage_error({"--role", "server"}), {"server", "aggregator"}));
  CHECK(holds_all(usage_error({"--role", "simulate", "--sets", "a=1"}), {"--sets"}));
  CHECK(holds_all(usage_error({"--role", "simulate", "extra"}), {"extra"}));
  CHECK(holds_all(usage_error({"--role", "simulate", "--out"}), {"--out"}));
  CHECK(holds_all(usage_error({"--role", "simulate", "--set", "run.seed"}), {"run.seed", "KEY=VALUE"}));
  CHECK(holds_all(usage_error({"--role", "simulate", "--resume"}), {"--resume", "--out"}));
  CHECK(holds_all(usage_error({"--role", "simulate", "--join", "a"}), {"--join", "simulate"}));
  CHECK(holds_all(usage_error({"--role", "simulate", "--port", "1"}), {"--port", "simulate"}));
  CHECK(holds_all(usage_error({"--role", "client"}), {"--join HOST[:PORT]"}));
  CHECK(holds_all(usage_error({"--role", "client", "--join", "a:b"}), {"a:b", "port"}));
  CHECK(holds_all(usage_error({"--role", "client", "--join", "a", "--name", "no spaces"}), {"no spaces"}));
  CHECK(holds_all(usage_error({"--role", "client", "--join", "a", "--resume", "--out", "x"}), {"--resume"}));
  CHECK(holds_all(usage_error({"status"}), {"target"}));
  CHECK_FALSE(usage_error({"config"}).empty());
  CHECK_FALSE(usage_error({"config", "everything"}).empty());
}

TEST_CASE("addresses") {
  using fl::HostPort;
  CHECK(fl::parse_host_port("host") == HostPort{"host", {}});
  CHECK(fl::parse_host_port("host:1") == HostPort{"host", 1});
  CHECK(fl::parse_host_port("192.0.2.1:65535") == HostPort{"192.0.2.1", 65535});
  CHECK(fl::parse_host_port("[2001:db8::1]:4242") == HostPort{"2001:db8::1", 4242});
  CHECK(fl::parse_host_port("[::1]") == HostPort{"::1", {}});
  CHECK(fl::parse_host_port("2001:db8::1") == HostPort{"2001:db8::1", {}});
  for (const auto* bad : {"", ":1", "a:", "a:0", "a:65536", "a:-1", "a:1x", "[::1", "[::1]x", "http://a",
                          "a b", "[[a]:1", "a]b"}) {
    CAPTURE(bad);
    const auto address = fl::parse_host_port(bad);
    REQUIRE_FALSE(address.has_value());
    CHECK(address.error().code == fl::ec::bad_config);
  }
}

TEST_CASE("a resume without --config begins from the stored settings") {
  const auto folder = fl::test::TemporaryFolder();
  fl::test::write_text(folder / "config.toml", "[run]\nseed = 77\n");
  const auto path = folder.path().string();
  auto command =
      parse({"--role", "simulate", "--out", path.c_str(), "--resume", "--set", "run.max_versions=4"});
  REQUIRE(command.has_value());
  const auto config = fl::load_config(*command);
  REQUIRE(config.has_value());
  CHECK(config->seed == 77);
  CHECK(config->goals.max_versions == 4);
  command->resume = false;
  CHECK(fl::load_config(*command)->seed == 1);
}
