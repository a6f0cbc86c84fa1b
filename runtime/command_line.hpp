// The command line as a value; nothing is done here. What it offers is a contract that scripts rely on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "runtime/config.hpp"

namespace fl {

/// What the process answers to its caller.
enum class ExitCode : int {
  done = 0,
  failed = 1,
  refused = 2,        ///< bad usage, configuration or data, or an unresolvable host
  interrupted = 130,  ///< state saved
};

enum class Role : std::uint8_t { simulate, aggregator, client };

/// "simulate", "aggregator", "client".
std::string_view to_string(Role role);

/// What is asked for.
enum class Action : std::uint8_t {
  run,             ///< a role
  status,          ///< how the run at `target` goes
  health,          ///< whether the run at `target` can give work
  stop,            ///< end the run at `target`
  pardon,          ///< let the quarantined client `name` of the run at `target` in again
  replay,          ///< make the model of the run at `target` again
  compare,         ///< the runs at `targets` side by side
  view,            ///< the dashboard of the run at `target`
  runs,            ///< a table of the runs below `target`
  inspect,         ///< what the file or run at `target` holds
  export_run,      ///< the run at `target` in a format of others
  predict,         ///< what the model at `model` says of the samples at `target`
  check_data,      ///< whether the own data that the settings name are right, and what they look like
  keys_init,       ///< make a federation's keys in `target`
  keys_client,     ///< make keys for the client `name` in `target`
  keys_revoke,     ///< take the client `name` off the allow list in `target`
  config_show,     ///< print the settings as resolved
  config_default,  ///< print configs/default.toml
  config_docs,     ///< print docs/configuration.md
  config_check,    ///< whether the files `targets` are right
  completion,      ///< print the completions for `shell`
  manual,          ///< print the manual page
};

/// A node's address as the user wrote it; not looked up yet.
struct HostPort {
  std::string host;
  std::optional<std::uint16_t> port;  ///< none: net.port

  bool operator==(const HostPort&) const = default;
};

/// "host", "host:4242", "192.0.2.1:4242", "[2001:db8::1]:4242" or "2001:db8::1". Fails with `bad_config`.
Result<HostPort> parse_host_port(std::string_view text);

/// What a run can be exported as.
enum class ExportFormat : std::uint8_t {
  metrics,      ///< "csv": a row a version, as in metrics.jsonl
  updates,      ///< "updates-csv": a row for each decision on an update
  safetensors,  ///< "safetensors": the model of a version
  snapshot,     ///< "snapshot": the same with the strategy's state, as this program keeps it
};

/// Whose completions can be made.
enum class Shell : std::uint8_t { bash, zsh };

struct CommandLine {
  Action action = Action::run;
  Role role = Role::simulate;
  ConfigSources
      config;  ///< --config and --set; --seed, --bind, --port, --log-* and --no-progress are settings too
  std::optional<std::filesystem::path> out;  ///< of a role: DIR; of data: where the schema goes
  bool resume = false;
  HostPort join;       ///< of a client: its aggregator
  std::string name;    ///< of a client; empty: not given
  std::string target;  ///< of status, health and stop: RUN_DIR or HOST[:PORT]; of replay and pardon: RUN_DIR;
                       ///< of keys and runs: DIR; of inspect: FILE or RUN_DIR; of export: RUN_DIR
  int days = 0;        ///< of keys: how long certificates hold; 0: not given
  std::vector<std::string> targets;             ///< of compare: RUN_DIR…; of config check: FILE…
  std::optional<double> target_accuracy;        ///< of compare
  std::optional<Version> until;                 ///< of replay
  std::string without;                          ///< of replay: a client's name or index
  bool json = false;                            ///< of runs and inspect: for programs, not for people
  ExportFormat format = ExportFormat::metrics;  ///< of export
  std::optional<Version> version;               ///< of export; none: the newest that is kept
  std::string model;                            ///< of predict: RUN_DIR or model.pt
  bool probabilities = false;                   ///< of predict: of every class
  Shell shell = Shell::bash;                    ///< of completion
};

/// The process is to end here: --help, --version, or a usage error.
struct CommandLineEnd {
  ExitCode code = ExitCode::done;
  std::string text;  ///< for stdout when done, else for stderr; ends in a newline
};

tl::expected<CommandLine, CommandLineEnd> parse_command_line(int argc, const char* const* argv);

/// An option, or an argument that stands by its place.
struct OptionSpec {
  std::string name;   ///< "--out"; of an argument what the help calls it
  std::string value;  ///< how its value is written: "FILE", "RUN_DIR|HOST[:PORT]", "bash|zsh"; empty: a flag
  std::string description;  ///< may be empty
};

/// A command, or the program itself.
struct CommandSpec {
  std::string name;
  std::vector<OptionSpec> options;
  std::vector<OptionSpec> arguments;
  std::vector<CommandSpec> commands;
};

/// All that parse_command_line understands: what completions are made from.
CommandSpec command_table();

/// The settings of a command line. A resume without --config begins from the config.toml of its run folder.
Result<Config> load_config(const CommandLine& command_line);

}  // namespace fl
