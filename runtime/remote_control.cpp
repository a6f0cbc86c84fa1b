#include "runtime/remote_control.hpp"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <caf/io/all.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "actors/actors.hpp"
#include "runtime/actor_system.hpp"
#include "runtime/network.hpp"
#include "runtime/run_folder.hpp"
#include "runtime/run_store.hpp"
#include "runtime/status_text.hpp"
#include "runtime/summary.hpp"

namespace fl {

namespace {

constexpr auto kAskTimeout = std::chrono::seconds(10);

void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
}

/// Connects to the gateway at an address and asks it one question.
template <class Answer, class Question>
Result<Answer> ask_gateway(const HostPort& where, const NetOptions& net, Question question) {
  if (auto ok = check_plaintext(where.host, net); !ok) return tl::unexpected(ok.error());
  auto config = NodeSystemConfig(net, true);
  auto system = caf::actor_system(config);
  close_remote_services(system);
  const auto port = where.port.value_or(net.port);
  auto gateway = system.middleman().remote_actor<gateway_actor>(where.host, port);
  if (!gateway)
    return fail(ec::unreachable, "no aggregator answers at " + where.host + ":" + std::to_string(port));
  auto answer = Result<Answer>(fail(ec::internal, {}));
  auto self = caf::scoped_actor(system);
  self->request(*gateway, kAskTimeout, question)
      .receive([&](const Answer& value) { answer = value; },
               [&](const caf::error& error) { answer = tl::unexpected(from_caf(error)); });
  return answer;
}

ExitCode complain(const Error& error) {
  spdlog::error("{}", error.text);
  return error.code == ec::bad_config ? ExitCode::refused : ExitCode::failed;
}

bool is_folder(const std::string& target) {
  auto error = std::error_code();
  return std::filesystem::is_directory(target, error);
}

}  // namespace

ExitCode show_status(const std::string& target, const NetOptions& net) {
  auto where = std::optional<HostPort>();
  if (is_folder(target)) {
    const auto holder = holder_of(target);
    if (holder && holder->address) {
      where = holder->address;
    } else {
      auto text = describe_folder(target);
      if (!text) return complain(text.error());
      if (holder) print("process " + std::to_string(holder->process) + " is at work here\n");
      print(*text);
      return ExitCode::done;
    }
  } else {
    auto parsed = parse_host_port(target);
    if (!parsed) return complain(parsed.error());
    where = *parsed;
  }
  const auto status = ask_gateway<RunStatus>(*where, net, status_atom_v);
  if (!status) return complain(status.error());
  print(status_text(*status));
  return ExitCode::done;
}

ExitCode stop_run(const std::string& target, const NetOptions& net) {
  auto where = std::optional<HostPort>();
  if (is_folder(target)) {
    const auto holder = holder_of(target);
    if (!holder) return complain({ec::bad_config, "no process is at work in " + target});
    if (!holder->address) {
      // A simulation or a client listens nowhere: a signal asks it for the same clean end.
      if (::kill(holder->process, SIGTERM) != 0)
        return complain({ec::io_failed, "process " + std::to_string(holder->process) +
                                            " cannot be told: " + std::strerror(errno)});
      print("process " + std::to_string(holder->process) + " is told to save and end\n");
      return ExitCode::done;
    }
    where = holder->address;
  } else {
    auto parsed = parse_host_port(target);
    if (!parsed) return complain(parsed.error());
    where = *parsed;
  }
  const auto answer = ask_gateway<std::string>(*where, net, stop_atom_v);
  if (!answer) return complain(answer.error());
  print(*answer + "\n");
  return ExitCode::done;
}

ExitCode pardon(const std::string& folder, const std::string& name) {
  if (auto ok = pardon_client(folder, name); !ok) return complain(ok.error());
  print(name + " may take part again\n");
  return ExitCode::done;
}

}  // namespace fl
