#include "runtime/command_line.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <functional>

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
  std::optional<std::string> dashboard;  ///< the port; empty: the usual one
  std::string target;
  std::vector<std::string> targets;
  std::optional<double> target_accuracy;
  std::string until;
  std::string without;
  std::string keys_folder = ".";
  int days = 0;
  bool json = false;
  std::string format = "csv";
  std::string version;
  std::string model;
  bool probabilities = false;
};

using Parsed = tl::expected<CommandLine, CommandLineEnd>;

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
  if (options.dashboard) {
    sources.settings.push_back({"dashboard.enabled", "true", "--dashboard"});
    add("--dashboard", "dashboard.port", *options.dashboard);
  }
  if (options.no_progress) sources.settings.push_back({"log.progress", "false", "--no-progress"});
  return sources;
}

/// An option that only some roles have.
struct RoleOption {
  bool given;
  std::string_view option;
  std::string_view roles;
};

Parsed run_command(const Options& options) {
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
        RoleOption{options.dashboard.has_value(), "--dashboard", "simulate aggregator"},
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

Parsed config_command(const Options& options, Action action) {
  auto sources = sources_of(options);
  if (!sources) return tl::unexpected(sources.error());
  auto command = CommandLine();
  command.action = action;
  command.target = options.target;
  if (!options.out.empty()) command.out = options.out;
  command.config = std::move(*sources);
  return command;
}

/// Commands that need no settings: what they take has the same names in both structs.
CommandLine plain_command(const Options& options, Action action) {
  auto command = CommandLine();
  command.action = action;
  command.target = options.target;
  command.targets = options.targets;
  command.name = options.name;
  command.days = options.days;
  command.target_accuracy = options.target_accuracy;
  command.without = options.without;
  command.json = options.json;
  command.model = options.model;
  command.probabilities = options.probabilities;
  if (!options.out.empty()) command.out = options.out;
  return command;
}

/// The number of a version that `option` was given; none when it was not.
tl::expected<std::optional<Version>, CommandLineEnd> version_in(const std::string& option,
                                                                const std::string& text) {
  if (text.empty()) return std::nullopt;
  auto version = Version{0};
  const auto* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, version);
  if (error != std::errc() || end != last)
    return tl::unexpected(usage_error(option + " " + text + ": it must be the number of a version"));
  return version;
}

Parsed replay_command(const Options& options) {
  auto command = plain_command(options, Action::replay);
  const auto until = version_in("--until", options.until);
  if (!until) return tl::unexpected(until.error());
  command.until = *until;
  return command;
}

/// In the order of ExportFormat.
constexpr std::array<std::string_view, 4> kExportFormats = {"csv", "updates-csv", "safetensors", "snapshot"};

Parsed export_command(const Options& options) {
  auto command = plain_command(options, Action::export_run);
  const auto format = std::ranges::find(kExportFormats, options.format);
  if (format == kExportFormats.end())
    return tl::unexpected(
        usage_error("--format " + options.format + " is unknown: csv, updates-csv, safetensors or snapshot"));
  command.format = static_cast<ExportFormat>(format - kExportFormats.begin());
  const auto of_model =
      command.format == ExportFormat::safetensors || command.format == ExportFormat::snapshot;
  const auto version = version_in("--version", options.version);
  if (!version) return tl::unexpected(version.error());
  if (*version && !of_model)
    return tl::unexpected(usage_error("--version goes with --format safetensors or snapshot; --format " +
                                      options.format + " has all versions"));
  if (of_model && !command.out)
    return tl::unexpected(usage_error("--format " + options.format + " needs --out FILE"));
  command.version = *version;
  return command;
}

Parsed completion_command(const Options& options) {
  auto command = CommandLine();
  command.action = Action::completion;
  if (options.target != "bash" && options.target != "zsh")
    return tl::unexpected(
        usage_error("completion " + options.target + ": there are completions for bash and zsh"));
  command.shell = options.target == "bash" ? Shell::bash : Shell::zsh;
  return command;
}

// -- The grammar ----------------------------------------------------------------------------------

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

void add_dashboard(CLI::App& app, Options& options) {
  app.add_option_function<std::vector<std::string>>(
         "--dashboard",
         [&options](const std::vector<std::string>& given) {
           options.dashboard = given.empty() ? "" : given.front();
         },
         "serve a page about the run")
      ->type_name("[PORT]")
      ->expected(0, 1);
}

void add_role_options(CLI::App& app, Options& options) {
  app.add_option("--role", options.role, "who this process is")->type_name("simulate|aggregator|client");
  add_settings(app, options);
  app.add_option("--out", options.out, "the run's folder")->type_name("DIR");
  app.add_flag("--resume", options.resume, "go on with the run in --out");
  app.add_option("--seed", options.seed, "short for --set run.seed=N")->type_name("N");
  app.add_option("--bind", options.bind, "short for --set net.bind=ADDR")->type_name("ADDR");
  app.add_option("--port", options.port, "short for --set net.port=N")->type_name("N");
  add_dashboard(app, options);
  app.add_option("--join", options.join, "the aggregator's address")->type_name("HOST[:PORT]");
  app.add_option("--name", options.name, "this client's name")->type_name("NAME");
  app.add_option("--log-level", options.log_level, "short for --set log.level=LEVEL")
      ->type_name("trace|debug|info|warn|error|off");
  app.add_flag("--log-json", options.log_json, "short for --set log.json=true");
  app.add_flag("--no-progress", options.no_progress, "short for --set log.progress=false");
  app.set_version_flag("--version", version_text(), "print the version");
}

/// What CLI11 reads, and what makes a command line of what it has read. Stays where it is: CLI11 writes to
/// `options`.
struct Grammar {
  CLI::App app;
  Options options;
  std::vector<std::pair<const CLI::App*, std::function<Parsed()>>> readers;

  Grammar();
  Grammar(const Grammar&) = delete;

 private:
  CLI::App& command(CLI::App& parent, const std::string& name, std::function<Parsed()> read) {
    auto* const added = parent.add_subcommand(name);
    readers.emplace_back(added, std::move(read));
    return *added;
  }
  /// A command without settings.
  CLI::App& plain(CLI::App& parent, const std::string& name, Action action) {
    return command(parent, name, [this, action] { return plain_command(options, action); });
  }
  CLI::Option* target(CLI::App& app_of, const std::string& value) {
    return app_of.add_option("target", options.target)->type_name(value)->required();
  }
  CLI::Option* targets(CLI::App& app_of, const std::string& value) {
    return app_of.add_option("targets", options.targets)->type_name(value)->required();
  }
  void add_run_commands();
  void add_data_commands();
  void add_key_commands();
  void add_config_commands();
};

void Grammar::add_run_commands() {
  for (const auto& [name, action] :
       {std::pair("status", Action::status), {"health", Action::health}, {"stop", Action::stop}}) {
    auto& remote = command(app, name, [this, action = action] { return config_command(options, action); });
    target(remote, "RUN_DIR|HOST[:PORT]");
    add_settings(remote, options);
  }
  auto& view = command(app, "view", [this] { return config_command(options, Action::view); });
  target(view, "RUN_DIR");
  add_dashboard(view, options);
  add_settings(view, options);
  auto& pardon = plain(app, "pardon", Action::pardon);
  target(pardon, "RUN_DIR");
  pardon.add_option("name", options.name)->type_name("NAME")->required();
  auto& replay = command(app, "replay", [this] { return replay_command(options); });
  target(replay, "RUN_DIR");
  replay.add_option("--until", options.until, "the version to stop at")->type_name("VERSION");
  replay.add_option("--without", options.without, "a client to leave out")->type_name("CLIENT");
  auto& compare = plain(app, "compare", Action::compare);
  targets(compare, "RUN_DIR");
  compare.add_option("--target", options.target_accuracy, "the accuracy to reach")
      ->type_name("ACCURACY")
      ->check(CLI::Range(0.0, 1.0));
  compare.add_option("--out", options.out, "the page to write")->type_name("FILE");
  auto& runs = plain(app, "runs", Action::runs);
  target(runs, "DIR")->required(false);
  auto& inspect = plain(app, "inspect", Action::inspect);
  target(inspect, "FILE|RUN_DIR");
  for (auto* const reporting : {&runs, &inspect})
    reporting->add_flag("--json", options.json, "for programs: JSON");
  auto& exporting = command(app, "export", [this] { return export_command(options); });
  target(exporting, "RUN_DIR");
  exporting.add_option("--format", options.format, "what to write")
      ->type_name("csv|updates-csv|safetensors|snapshot");
  exporting.add_option("--version", options.version, "whose model")->type_name("VERSION");
  exporting.add_option("--out", options.out, "where to")->type_name("FILE");
}

void Grammar::add_data_commands() {
  auto& predict = plain(app, "predict", Action::predict);
  predict.add_option("--model", options.model, "a run's folder, or a model.pt")
      ->type_name("RUN_DIR|FILE")
      ->required();
  predict.add_option("--data", options.target, "what to predict from")->type_name("FILE")->required();
  predict.add_option("--out", options.out, "where to")->type_name("FILE");
  predict.add_flag("--probabilities", options.probabilities, "of every class, not only of the likeliest");
  auto& data = command(app, "data", [this] { return config_command(options, Action::check_data); });
  add_settings(data, options);
  data.add_option("--schema", options.out, "where to write what they look like")->type_name("FILE");
}

void Grammar::add_key_commands() {
  auto& keys = *app.add_subcommand("keys");
  keys.require_subcommand(1);
  const auto add = [&](const std::string& name, Action action) -> CLI::App& {
    return command(keys, name, [this, action] {
      auto made = plain_command(options, action);
      made.target = options.keys_folder;
      return made;
    });
  };
  auto& init = add("init", Action::keys_init);
  init.add_option("folder", options.keys_folder)->type_name("DIR")->required();
  auto& client = add("client", Action::keys_client);
  auto& revoke = add("revoke", Action::keys_revoke);
  for (auto* const one : {&client, &revoke}) {
    one->add_option("name", options.name)->type_name("NAME")->required();
    one->add_option("--dir", options.keys_folder, "the keys' folder")->type_name("DIR");
  }
  for (auto* const one : {&init, &client})
    one->add_option("--days", options.days, "how long certificates hold")
        ->type_name("DAYS")
        ->check(CLI::Range(1, 36500));
}

void Grammar::add_config_commands() {
  auto& config = *app.add_subcommand("config");
  config.require_subcommand(1);
  add_settings(command(config, "show", [this] { return config_command(options, Action::config_show); }),
               options);
  targets(plain(config, "check", Action::config_check), "FILE");
  plain(config, "default", Action::config_default);
  plain(config, "docs", Action::config_docs);
}

Grammar::Grammar() {
  // The help is written for people (help_text.cpp), not made from the options.
  app.set_help_flag("--help,-h", "print the help");
  add_role_options(app, options);
  add_run_commands();
  add_data_commands();
  add_key_commands();
  add_config_commands();
  target(command(app, "completion", [this] { return completion_command(options); }), "bash|zsh");
  plain(app, "man", Action::manual);
  app.require_subcommand(0, 1);
}

CommandSpec spec_of(const CLI::App& app) {
  auto spec = CommandSpec();
  spec.name = app.get_name();
  for (const auto* option : app.get_options()) {
    const auto flag = option->get_items_expected_max() == 0;
    auto& list = option->get_positional() ? spec.arguments : spec.options;
    list.push_back({option->get_name(), flag ? "" : option->get_type_name(), option->get_description()});
  }
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; }))
    spec.commands.push_back(spec_of(*command));
  return spec;
}

}  // namespace

CommandSpec command_table() {
  auto spec = spec_of(Grammar().app);
  spec.name = "fl_actor_node";
  return spec;
}

tl::expected<CommandLine, CommandLineEnd> parse_command_line(int argc, const char* const* argv) {
  auto grammar = Grammar();
  if (argc <= 1) return tl::unexpected(CommandLineEnd{ExitCode::refused, help_text()});
  try {
    grammar.app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return tl::unexpected(CommandLineEnd{ExitCode::done, help_text()});
  } catch (const CLI::CallForVersion&) {
    return tl::unexpected(CommandLineEnd{ExitCode::done, version_text() + "\n"});
  } catch (const CLI::ParseError& error) {
    return tl::unexpected(usage_error(error.what()));
  }
  for (const auto& [command, read] : grammar.readers)
    if (*command) return read();
  return run_command(grammar.options);
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
