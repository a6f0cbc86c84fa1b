#include "runtime/keys_command.hpp"

#include <spdlog/spdlog.h>

#include <cstdio>

#include "runtime/key_maker.hpp"

namespace fl {

namespace {

std::string init_text(const std::string& folder) {
  return "The keys of a new federation are in " + folder +
         ".\n"
         "Next: a client's keys          fl_actor_node keys client NAME --dir " +
         folder +
         "\n"
         "      start the aggregator      fl_actor_node --role aggregator --config RUN.toml --config " +
         folder + "/aggregator.toml --out DIR\n" + "Keep " + folder +
         "/ca.key where nobody else reads it: whoever has it can make certificates.\n";
}

std::string client_text(const std::string& folder, const std::string& name) {
  auto text = "The keys of " + name + " are in " + folder + ". Carry these five files to its machine:\n ";
  for (const auto& file :
       {name + ".toml", name + ".pem", name + ".key", name + ".identity", std::string("ca.pem")})
    text += " " + file;
  return text + "\nand start it there            fl_actor_node --role client --join HOST --config " + name +
         ".toml\n"
         "An aggregator that runs already learns of it by SIGHUP (kill -HUP PID, systemctl reload).\n";
}

}  // namespace

ExitCode run_keys_command(const CommandLine& command_line) {
  const auto& folder = command_line.target;
  const auto& name = command_line.name;
  auto options = KeyOptions{folder};
  if (command_line.days > 0) options.days = command_line.days;
  auto done = Result<void>();
  auto text = std::string();
  switch (command_line.action) {
    case Action::keys_init:
      done = make_federation_keys(options);
      text = init_text(folder);
      break;
    case Action::keys_client:
      done = make_client_keys(options, name);
      text = client_text(folder, name);
      break;
    default:
      done = revoke_client(folder, name);
      text = name + " is off " + (std::filesystem::path(folder) / "allow_list").string() +
             ". An aggregator that runs already sends it away at SIGHUP (kill -HUP PID, systemctl reload).\n";
      break;
  }
  if (!done) {
    spdlog::error("{}", done.error().text);
    return done.error().code == ec::bad_config ? ExitCode::refused : ExitCode::failed;
  }
  std::fputs(text.c_str(), stdout);
  return ExitCode::done;
}

}  // namespace fl
