#include "runtime/command_line.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

#include "runtime/help_text.hpp"

namespace fl {

std::string_view to_string(Role role) {
  switch (role) {
    case Role::simulate:
      return "simulate";
    case Role::aggregator:
      return "aggregator";
    case Role::client:
      return "client";
  }
  return "unknown";
}

// -- Addresses ------------------------------------------------------------------------------------

Result<HostPort> parse_host_port(std::string_view text) {
  const auto refuse = [&](const std::string& why) {
    return fail(ec::bad_config,
                "\"" + std::string(text) + "\" is not an address of the form HOST[:PORT]: " + why);
  };
  auto host = text;
  auto port_text = std::optional<std::string_view>();
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return refuse("the \"[\" is not closed");
    host = text.substr(1, end - 1);
    const auto rest = text.substr(end + 1);
    if (!rest.empty() && !rest.starts_with(':')) return refuse("only a port may follow the \"]\"");
    if (!rest.empty()) port_text = rest.substr(1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {  // more colons: an IPv6 address without a port
    host = text.substr(0, text.find(':'));
    port_text = text.substr(text.find(':') + 1);
  }
  if (host.empty()) return refuse("the host is missing");
  if (host.find_first_of(" \t/@[]") != std::string_view::npos)
    return refuse("a host name or an address is needed, no URL");
  auto result = HostPort{std::string(host), std::nullopt};
  if (port_text) {
    auto port = std::uint16_t{0};
    const auto [end, error] = std::from_chars(port_text->data(), port_text->data() + port_text->size(), port);
    if (error != std::errc() || end != port_text->data() + port_text->size() || port == 0)
      return refuse("the port must be a number from 1 to 65535");
    result.port = port;
  }
  return result;
}

// -- Options --------------------------------------------------------------------------------------

namespace {

/// What CLI11 fills in.
struct Options {
  std::string role;
  std::vector<std::string> configs;
  std::vector<std::string> sets;
  std::string out;
  bool resume = false;
  std::string seed;
  std::string bind;
  std::string port;
  std::string join;
  std::string name;
  std::string log_level;
  bool log_json = false;
  bool no_progress = false;
  std::string target;
  std::vector<std::string> targets;
  std::optional<double> target_accuracy;
  std::string until;
  std::string without;
  std::string keys_folder = ".";
  int days = 0;
};

CommandLineEnd usage_error(const std::string& text) {
  return {ExitCode::refused, "fl_actor_node: " + text + "\nTry: fl_actor_node --help\n"};
}

/// "KEY=VALUE" as a setting.
tl::expected<Setting, CommandLineEnd> parse_set(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    return tl::unexpected(usage_error("--set " + text + ": it must be KEY=VALUE, such as --set run.seed=2"));
  return Setting{text.substr(0, equals), text.substr(equals + 1), "--set " + text};
}

/// --config, --set and the options that are short for a setting, which win over --set.
tl::expected<ConfigSources, CommandLineEnd> sources_of(const Options& options) {
  auto sources = ConfigSources();
  sources.files.assign(options.configs.begin(), options.configs.end());
  for (const auto& text : options.sets) {
    auto setting = parse_set(text);
    if (!setting) return tl::unexpected(setting.error());
    sources.settings.push_back(std::move(*setting));
  }
  const auto add = [&](const std::string& option, const std::string& key, const std::string& value) {
    if (!value.empty()) sources.settings.push_back({key, value, option + " " + value});
  };
  add("--seed", "run.seed", options.seed);
  add("--bind", "net.bind", options.bind);
  add("--port", "net.port", options.port);
  add("--log-level", "log.level", options.log_level);
  if (options.log_json) sources.settings.push_back({"log.json", "true", "--log-json"});
  if (options.no_progress) sources.settings.push_back({"log.progress", "false", "--no-progress"});
  return sources;
}

/// An option that only some roles have.
struct RoleOption {
  bool given;
  std::string_view option;
  std::string_view roles;
};

tl::expected<CommandLine, CommandLineEnd> run_command(const Options& options) {
  auto command = CommandLine();
  const auto roles = {Role::simulate, Role::aggregator, Role::client};
  const auto role =
      std::find_if(roles.begin(), roles.end(), [&](Role r) { return to_string(r) == options.role; });
  if (role == roles.end())
    return tl::unexpected(usage_error(
        options.role.empty() ? "--role is missing: simulate, aggregator or client"
                             : "--role " + options.role + " is unknown: simulate, aggregator or client"));
  command.role = *role;
  for (const auto& [given, option, allowed] :
       {RoleOption{!options.join.empty(), "--join", "client"},
        RoleOption{!options.name.empty(), "--name", "client"},
        RoleOption{!options.bind.empty(), "--bind", "aggregator"},
        RoleOption{!options.port.empty(), "--port", "aggregator"},
        RoleOption{options.resume, "--resume", "simulate aggregator"},
        RoleOption{!options.seed.empty(), "--seed", "simulate aggregator"}}) {
    if (given && allowed.find(options.role) == std::string_view::npos)
      return tl::unexpected(usage_error(std::string(option) + " does not go with --role " + options.role));
  }
  if (command.role == Role::client) {
    if (options.join.empty())
      return tl::unexpected(
          usage_error("--role client needs --join HOST[:PORT], the address of the aggregator"));
    auto address = parse_host_port(options.join);
    if (!address) return tl::unexpected(usage_error("--join: " + address.error().text));
    command.join = *address;
    if (!options.name.empty() && !is_client_name(options.name))
      return tl::unexpected(usage_error(
          "--name \"" + options.name +
          "\": a name has 1 to 64 letters, digits, dots, dashes and underscores, and does not begin with a "
          "dot or a dash"));
  }
  if (options.resume && options.out.empty())
    return tl::unexpected(usage_error("--resume needs --out DIR, the folder of the run to go on with"));
  auto sources = sources_of(options);
  if (!sources) return tl::unexpected(sources.error());
  command.config = std::move(*sources);
  if (!options.out.empty()) command.out = options.out;
  command.resume = options.resume;
  command.name = options.name;
  return command;
}

tl::expected<CommandLine, CommandLineEnd> config_command(const Options& options, Action action) {
  auto sources = sources_of(options);
  if (!sources) return tl::unexpected(sources.error());
  auto command = CommandLine();
  command.action = action;
  command.config = std::move(*sources);
  return command;
}

tl::expected<CommandLine, CommandLineEnd> replay_command(const Options& options) {
  auto command = CommandLine();
  command.action = Action::replay;
  command.target = options.target;
  command.without = options.without;
  if (!options.until.empty()) {
    auto version = Version{0};
    const auto* const last = options.until.data() + options.until.size();
    const auto [end, error] = std::from_chars(options.until.data(), last, version);
    if (error != std::errc() || end != last)
      return tl::unexpected(usage_error("--until " + options.until + ": it must be the number of a version"));
    command.until = version;
  }
  return command;
}

CommandLine compare_command(const Options& options) {
  auto command = CommandLine();
  command.action = Action::compare;
  command.targets = options.targets;
  command.target_accuracy = options.target_accuracy;
  command.out = options.out.empty() ? "compare.html" : options.out;
  return command;
}

void add_settings(CLI::App& app, Options& options) {
  app.add_option("--config", options.configs, "TOML file with settings; may be repeated, later ones win")
      ->type_name("FILE")
      ->take_all()
      ->expected(1);
  app.add_option("--set", options.sets, "one setting; wins over the file")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->expected(1);
}

void add_role_options(CLI::App& app, Options& options) {
  app.add_option("--role", options.role, "simulate, aggregator or client");
  add_settings(app, options);
  app.add_option("--out", options.out, "the run's folder");
  app.add_flag("--resume", options.resume, "go on with the run in --out");
  app.add_option("--seed", options.seed, "short for --set run.seed=N");
  app.add_option("--bind", options.bind, "short for --set net.bind=ADDR");
  app.add_option("--port", options.port, "short for --set net.port=N");
  app.add_option("--join", options.join, "the aggregator's address");
  app.add_option("--name", options.name, "this client's name");
  app.add_option("--log-level", options.log_level, "short for --set log.level=LEVEL");
  app.add_flag("--log-json", options.log_json, "short for --set log.json=true");
  app.add_flag("--no-progress", options.no_progress, "short for --set log.progress=false");
  app.set_version_flag("--version", version_text());
}

}  // namespace

tl::expected<CommandLine, CommandLineEnd> parse_command_line(int argc, const char* const* argv) {
  auto options = Options();
  auto app = CLI::App();
  // The help is written for people (help_text.cpp), not made from the options.
  app.set_help_flag("--help,-h", "");
  add_role_options(app, options);
  auto* const status = app.add_subcommand("status");
  auto* const stop = app.add_subcommand("stop");
  auto* const health = app.add_subcommand("health");
  for (auto* const command : {status, health, stop}) {
    command->add_option("target", options.target)->required();
    add_settings(*command, options);
  }
  auto* const keys = app.add_subcommand("keys");
  auto* const keys_init = keys->add_subcommand("init");
  keys_init->add_option("folder", options.keys_folder)->required();
  auto* const keys_client = keys->add_subcommand("client");
  auto* const keys_revoke = keys->add_subcommand("revoke");
  for (auto* const command : {keys_client, keys_revoke}) {
    command->add_option("name", options.name)->required();
    command->add_option("--dir", options.keys_folder);
  }
  for (auto* const command : {keys_init, keys_client})
    command->add_option("--days", options.days)->check(CLI::Range(1, 36500));
  keys->require_subcommand(1);
  auto* const replay = app.add_subcommand("replay");
  replay->add_option("target", options.target)->required();
  replay->add_option("--until", options.until);
  replay->add_option("--without", options.without);
  auto* const compare = app.add_subcommand("compare");
  compare->add_option("targets", options.targets)->required();
  compare->add_option("--target", options.target_accuracy)->check(CLI::Range(0.0, 1.0));
  compare->add_option("--out", options.out);
  auto* const pardon = app.add_subcommand("pardon");
  pardon->add_option("target", options.target)->required();
  pardon->add_option("name", options.name)->required();
  auto* const config = app.add_subcommand("config");
  auto* const show = config->add_subcommand("show");
  add_settings(*show, options);
  auto* const defaults = config->add_subcommand("default");
  auto* const docs = config->add_subcommand("docs");
  config->require_subcommand(1);
  app.require_subcommand(0, 1);

  if (argc <= 1) return tl::unexpected(CommandLineEnd{ExitCode::refused, help_text()});
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return tl::unexpected(CommandLineEnd{ExitCode::done, help_text()});
  } catch (const CLI::CallForVersion&) {
    return tl::unexpected(CommandLineEnd{ExitCode::done, version_text() + "\n"});
  } catch (const CLI::ParseError& error) {
    return tl::unexpected(usage_error(error.what()));
  }
  if (*show) return config_command(options, Action::config_show);
  if (*defaults) return config_command(options, Action::config_default);
  if (*docs) return config_command(options, Action::config_docs);
  if (*status || *health || *stop) {
    auto command = config_command(options, *status   ? Action::status
                                           : *health ? Action::health
                                                     : Action::stop);
    if (command) command->target = options.target;
    return command;
  }
  if (*pardon) {
    auto command = CommandLine();
    command.action = Action::pardon;
    command.target = options.target;
    command.name = options.name;
    return command;
  }
  if (*keys) {
    auto command = CommandLine();
    command.action = *keys_init     ? Action::keys_init
                     : *keys_client ? Action::keys_client
                                    : Action::keys_revoke;
    command.target = options.keys_folder;
    command.name = options.name;
    command.days = options.days;
    return command;
  }
  if (*replay) return replay_command(options);
  if (*compare) return compare_command(options);
  return run_command(options);
}

Result<Config> load_config(const CommandLine& command_line) {
  auto sources = command_line.config;
  if (command_line.resume && sources.files.empty() && command_line.out) {
    auto error = std::error_code();
    const auto stored = *command_line.out / "config.toml";
    if (std::filesystem::exists(stored, error)) sources.files = {stored};
  }
  auto config = load_config(sources);
  const auto runs = command_line.action == Action::run;
  if (config && runs && command_line.role != Role::simulate && config->simulate.clock == "virtual")
    return fail(ec::bad_config,
                "simulate.clock = \"virtual\" is for --role simulate: across processes time is real");
  if (config && config->store.durability == "auto")
    config->store.durability = command_line.role == Role::aggregator ? "update" : "snapshot";
  return config;
}

}  // namespace fl
