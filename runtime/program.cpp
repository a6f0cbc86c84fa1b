#include "runtime/program.hpp"

#include <spdlog/spdlog.h>

#include <cstdio>
#include <optional>

#include "learning/memory_policy.hpp"
#include "runtime/compare_command.hpp"
#include "runtime/completion.hpp"
#include "runtime/config_command.hpp"
#include "runtime/dashboard/view_command.hpp"
#include "runtime/data_command.hpp"
#include "runtime/export_command.hpp"
#include "runtime/help_text.hpp"
#include "runtime/inspect_command.hpp"
#include "runtime/keys_command.hpp"
#include "runtime/logging.hpp"
#include "runtime/manual_page.hpp"
#include "runtime/predict_command.hpp"
#include "runtime/remote_control.hpp"
#include "runtime/replay_command.hpp"
#include "runtime/roles.hpp"
#include "runtime/runs_command.hpp"
#include "runtime/signals.hpp"

namespace fl {

namespace {

ExitCode print_text(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return ExitCode::done;
}

/// The commands that read no settings of a node; none: it is another.
std::optional<ExitCode> run_without_settings(const CommandLine& command_line, const AddToConfig& add) {
  switch (command_line.action) {
    case Action::config_default:
      return print_text(default_toml());
    case Action::config_docs:
      return print_text(configuration_reference());
    case Action::config_check:
      return check_configs(command_line.targets);
    case Action::completion:
      return print_text(completion_script(command_line.shell));
    case Action::manual:
      return print_text(manual_page(help_text()));
    case Action::replay:
      return replay_run({command_line.target, command_line.until, command_line.without, add});
    case Action::compare:
      return compare_runs({{command_line.targets.begin(), command_line.targets.end()},
                           command_line.out.value_or("compare.html"),
                           command_line.target_accuracy});
    case Action::runs:
      return list_runs(command_line.target.empty() ? "runs" : command_line.target, command_line.json);
    case Action::inspect:
      return inspect(command_line.target, command_line.json);
    case Action::export_run:
      return export_run({command_line.target, command_line.format, command_line.version, command_line.out});
    case Action::predict:
      return predict({command_line.model, command_line.target, command_line.out, command_line.probabilities});
    case Action::keys_init:
    case Action::keys_client:
    case Action::keys_revoke:
      return run_keys_command(command_line);
    default:
      return std::nullopt;
  }
}

ExitCode run(const CommandLine& command_line, const AddToConfig& add) {
  if (const auto code = run_without_settings(command_line, add)) return *code;
  auto config = load_config(command_line);
  if (!config) {
    spdlog::error("{}", config.error().text);
    return ExitCode::refused;
  }
  if (auto ok = set_up_logging(config->log); !ok) {
    spdlog::error("{}", ok.error().text);
    return ExitCode::refused;
  }
  if (add) add(*config);
  switch (command_line.action) {
    case Action::status:
      return show_status(command_line.target, config->net);
    case Action::health:
      return show_health(command_line.target, config->net);
    case Action::stop:
      return stop_run(command_line.target, config->net);
    case Action::pardon:
      return pardon(command_line.target, command_line.name);
    case Action::view:
      return view_run(command_line.target, config->dashboard);
    case Action::check_data:
      return check_data(*config, command_line.out);
    case Action::config_show:
      return print_text(to_toml(*config));
    default:
      break;
  }
  watch_signals();
  switch (command_line.role) {
    case Role::simulate:
      return run_simulation(command_line, *config);
    case Role::aggregator:
      return run_aggregator(command_line, *config);
    case Role::client:
      return run_client(command_line, *config);
  }
  return ExitCode::failed;
}

}  // namespace

int run_program(int argc, const char* const* argv, const AddToConfig& add) {
  keep_freed_memory();
  (void)set_up_logging({});
  const auto command_line = parse_command_line(argc, argv);
  if (!command_line) {
    const auto& end = command_line.error();
    std::fputs(end.text.c_str(), end.code == ExitCode::done ? stdout : stderr);
    return static_cast<int>(end.code);
  }
  try {
    return static_cast<int>(run(*command_line, add));
  } catch (const std::exception& exception) {
    spdlog::error("this should not have happened: {}", exception.what());
    return static_cast<int>(ExitCode::failed);
  }
}

}  // namespace fl
