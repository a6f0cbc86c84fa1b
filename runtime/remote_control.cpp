#include "runtime/remote_control.hpp"

#include <signal.h>
#include <spdlog/spdlog.h>

#include <caf/io/all.hpp>
#include <caf/openssl/all.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

#include "actors/client.hpp"
#include "runtime/actor_system.hpp"
#include "runtime/credentials.hpp"
#include "runtime/network.hpp"
#include "runtime/run_folder.hpp"
#include "runtime/run_store.hpp"
#include "runtime/status_text.hpp"
#include "runtime/summary.hpp"
#include "runtime/tls_watch.hpp"

namespace fl {

namespace {

constexpr auto kRemoteTimeout = std::chrono::seconds(10);

void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
}

/// The gateway of a run in another process, and a connection to it.
class RemoteGateway {
 public:
  RemoteGateway(const NetOptions& net, Credentials credentials)
      : net_(net),
        credentials_(std::move(credentials)),
        config_(net, true),
        system_(config_),
        self_(system_) {
    close_remote_services(system_);
  }

  Result<void> connect(const HostPort& where) {
    const auto port = where.port.value_or(net_.port);
    auto gateway = net_.tls() ? caf::openssl::remote_actor<gateway_actor>(system_, where.host, port)
                              : system_.middleman().remote_actor<gateway_actor>(where.host, port);
    if (!gateway) {
      auto why = take_tls_failure();
      if (why.empty()) why = why_no_gateway(from_caf(gateway.error()), net_.tls());
      return fail(ec::unreachable,
                  "no aggregator answers at " + where.host + ":" + std::to_string(port) + " (" + why + ")");
    }
    gateway_ = *gateway;
    return {};
  }

  template <class Answer, class... Question>
  Result<Answer> ask(const Question&... question) {
    auto answer = Result<Answer>(fail(ec::internal, {}));
    self_->request(gateway_, kRemoteTimeout, question...)
        .receive([&](const Answer& value) { answer = value; },
                 [&](const caf::error& error) { answer = tl::unexpected(from_caf(error)); });
    return answer;
  }

  /// Proves that we hold the aggregator's key, if we do.
  Result<Proof> prove_ownership() {
    if (!credentials_.identity) return Proof();
    const auto nonce = make_nonce();
    const auto challenge =
        ask<Challenge>(Introduction{kProtocolVersion, std::string(kOwnerName), nonce}, self());
    if (!challenge) return tl::unexpected(challenge.error());
    const auto transcript = HelloTranscript{std::string(kOwnerName), nonce, challenge->nonce,
                                            to_string(self_->node()), to_string(gateway_.node())};
    return Proof{challenge->nonce, credentials_.identity->sign(transcript.signed_by_client())};
  }

  caf::actor self() { return caf::actor_cast<caf::actor>(self_); }

 private:
  NetOptions net_;
  Credentials credentials_;
  NodeSystemConfig config_;
  caf::actor_system system_;
  caf::scoped_actor self_;
  gateway_actor gateway_;
};

/// Connects with what `net` allows.
Result<std::unique_ptr<RemoteGateway>> reach(const HostPort& where, const NetOptions& net) {
  if (auto ok = check_plaintext(where.host, net); !ok) return tl::unexpected(ok.error());
  auto credentials = load_credentials(net);
  if (!credentials) return tl::unexpected(credentials.error());
  auto gateway = std::make_unique<RemoteGateway>(net, std::move(*credentials));
  if (auto ok = gateway->connect(where); !ok) return tl::unexpected(ok.error());
  return gateway;
}

Result<RunStatus> ask_status(const HostPort& where, const NetOptions& net) {
  auto gateway = reach(where, net);
  if (!gateway) return tl::unexpected(gateway.error());
  return (*gateway)->ask<RunStatus>(status_atom_v);
}

Result<std::string> ask_to_stop(const HostPort& where, const NetOptions& net) {
  auto gateway = reach(where, net);
  if (!gateway) return tl::unexpected(gateway.error());
  auto proof = (*gateway)->prove_ownership();
  if (!proof) return tl::unexpected(proof.error());
  return (*gateway)->ask<std::string>(stop_atom_v, *proof, (*gateway)->self());
}

/// How the process in a run's folder is reached: by that run's own settings.
NetOptions net_of(const std::filesystem::path& folder, const NetOptions& otherwise) {
  const auto config = load_config(ConfigSources{{folder / "config.toml"}, {}});
  return config ? config->net : otherwise;
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
  auto how = net;
  if (is_folder(target)) {
    const auto holder = holder_of(target);
    if (holder && holder->address) {
      where = holder->address;
      how = net_of(target, net);
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
  const auto status = ask_status(*where, how);
  if (!status) return complain(status.error());
  print(status_text(*status));
  return ExitCode::done;
}

ExitCode show_health(const std::string& target, const NetOptions& net) {
  const auto answer = [](bool live, const std::string& why_not_ready) {
    print(!live                   ? "down: " + why_not_ready + "\n"
          : why_not_ready.empty() ? "ready\n"
                                  : "live, not ready: " + why_not_ready + "\n");
    return live && why_not_ready.empty() ? ExitCode::done : ExitCode::failed;
  };
  auto where = std::optional<HostPort>();
  auto how = net;
  if (is_folder(target)) {
    const auto holder = holder_of(target);
    if (!holder) return answer(false, "no process is at work in " + target);
    if (!holder->address)
      return answer(true, "process " + std::to_string(holder->process) + " listens nowhere (yet)");
    where = holder->address;
    how = net_of(target, net);
  } else {
    auto parsed = parse_host_port(target);
    if (!parsed) return complain(parsed.error());
    where = *parsed;
  }
  const auto status = ask_status(*where, how);
  if (!status)
    return status.error().code == ec::bad_config ? complain(status.error())
                                                 : answer(false, status.error().text);
  return answer(true, status->not_ready);
}

ExitCode stop_run(const std::string& target, const NetOptions& net) {
  auto where = std::optional<HostPort>();
  auto how = net;
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
    how = net_of(target, net);
  } else {
    auto parsed = parse_host_port(target);
    if (!parsed) return complain(parsed.error());
    where = *parsed;
  }
  const auto answer = ask_to_stop(*where, how);
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
