// fl_actor_node: what is asked for, and who does it.
#include <spdlog/spdlog.h>

#include <cstdio>

#include "learning/memory_policy.hpp"
#include "runtime/command_line.hpp"
#include "runtime/compare_command.hpp"
#include "runtime/config.hpp"
#include "runtime/keys_command.hpp"
#include "runtime/logging.hpp"
#include "runtime/remote_control.hpp"
#include "runtime/replay_command.hpp"
#include "runtime/roles.hpp"
#include "runtime/signals.hpp"

namespace {

fl::ExitCode run(const fl::CommandLine& command_line) {
  using fl::Action;
  if (command_line.action == Action::config_default) {
    std::fputs(fl::default_toml().c_str(), stdout);
    return fl::ExitCode::done;
  }
  if (command_line.action == Action::config_docs) {
    std::fputs(fl::configuration_reference().c_str(), stdout);
    return fl::ExitCode::done;
  }
  if (command_line.action == Action::replay)
    return fl::replay_run({command_line.target, command_line.until, command_line.without});
  if (command_line.action == Action::compare)
    return fl::compare_runs({{command_line.targets.begin(), command_line.targets.end()},
                             command_line.out.value_or("compare.html"),
                             command_line.target_accuracy});
  if (command_line.action == Action::keys_init || command_line.action == Action::keys_client ||
      command_line.action == Action::keys_revoke)
    return fl::run_keys_command(command_line);
  const auto config = fl::load_config(command_line);
  if (!config) {
    spdlog::error("{}", config.error().text);
    return fl::ExitCode::refused;
  }
  if (auto ok = fl::set_up_logging(config->log); !ok) {
    spdlog::error("{}", ok.error().text);
    return fl::ExitCode::refused;
  }
  switch (command_line.action) {
    case Action::status:
      return fl::show_status(command_line.target, config->net);
    case Action::health:
      return fl::show_health(command_line.target, config->net);
    case Action::stop:
      return fl::stop_run(command_line.target, config->net);
    case Action::pardon:
      return fl::pardon(command_line.target, command_line.name);
    case Action::config_show:
      std::fputs(fl::to_toml(*config).c_str(), stdout);
      return fl::ExitCode::done;
    default:
      break;
  }
  fl::watch_signals();
  switch (command_line.role) {
    case fl::Role::simulate:
      return fl::run_simulation(command_line, *config);
    case fl::Role::aggregator:
      return fl::run_aggregator(command_line, *config);
    case fl::Role::client:
      return fl::run_client(command_line, *config);
  }
  return fl::ExitCode::failed;
}

}  // namespace

int main(int argc, char** argv) {
  fl::keep_freed_memory();
  (void)fl::set_up_logging({});
  const auto command_line = fl::parse_command_line(argc, argv);
  if (!command_line) {
    const auto& end = command_line.error();
    std::fputs(end.text.c_str(), end.code == fl::ExitCode::done ? stdout : stderr);
    return static_cast<int>(end.code);
  }
  try {
    return static_cast<int>(run(*command_line));
  } catch (const std::exception& exception) {
    spdlog::error("this should not have happened: {}", exception.what());
    return static_cast<int>(fl::ExitCode::failed);
  }
}
