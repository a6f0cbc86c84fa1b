#include <spdlog/spdlog.h>
#include <unistd.h>

#include <caf/io/all.hpp>
#include <cstdio>
#include <mutex>
#include <optional>

#include "actors/client.hpp"
#include "actors/supervisor.hpp"
#include "actors/trainer.hpp"
#include "runtime/actor_system.hpp"
#include "runtime/client_speeds.hpp"
#include "runtime/client_spool.hpp"
#include "runtime/credentials.hpp"
#include "runtime/durable_steps.hpp"
#include "runtime/network.hpp"
#include "runtime/node_inbox.hpp"
#include "runtime/roles.hpp"
#include "runtime/run_folder.hpp"
#include "runtime/service_notifier.hpp"
#include "runtime/summary.hpp"
#include "runtime/tls_watch.hpp"
#include "runtime/workbench.hpp"

namespace fl {

namespace {

constexpr auto kAskTimeout = std::chrono::seconds(5);

/// The model that the newest welcome named: the trainer learns it, the client needs its layout to receive a
/// base.
class KnownModel {
 public:
  void set(TrainerPtr trainer) {
    const auto lock = std::lock_guard(mutex_);
    trainer_ = std::move(trainer);
  }
  LayoutPtr layout() const {
    const auto lock = std::lock_guard(mutex_);
    return trainer_ ? trainer_->layout() : nullptr;
  }

 private:
  mutable std::mutex mutex_;
  TrainerPtr trainer_;
};

std::string default_name() {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  auto name = std::string(host) + "-" + std::to_string(::getpid());
  for (auto& letter : name)
    if (std::isalnum(static_cast<unsigned char>(letter)) == 0 && letter != '.' && letter != '_') letter = '-';
  return name.substr(name.size() > 64 ? name.size() - 64 : 0);
}

std::string name_of(const CommandLine& command_line, const Config& config) {
  if (!command_line.name.empty()) return command_line.name;
  return config.client_name.empty() ? default_name() : config.client_name;
}

std::vector<ChildSpec> client_children(const Config& config, const ClientOptions& client_options,
                                       const std::shared_ptr<WorkerPool>& pool, const ChaosPtr& chaos) {
  const auto known = std::make_shared<KnownModel>();
  auto options = TrainerActorOptions();
  options.prepare = [config, known](const Welcome& welcome) {
    auto means = make_client_means(config, welcome);
    if (means) known->set(means->trainer);
    return means;
  };
  options.pool = pool;
  options.speed = client_options.speed;
  options.chaos = chaos;
  auto children = std::vector<ChildSpec>();
  children.push_back({"trainer-0",
                      [options](caf::actor_system& system) {
                        return caf::actor_cast<caf::actor>(system.spawn<caf::detached>(trainer, options));
                      },
                      [](Peers& peers, const caf::actor& actor) {
                        peers.trainers = {caf::actor_cast<trainer_actor>(actor)};
                      },
                      false});
  const auto layout_of = std::function<LayoutPtr()>([known] { return known->layout(); });
  children.push_back({"client-0",
                      [=, seed = config.seed](caf::actor_system& system) {
                        return caf::actor_cast<caf::actor>(
                            system.spawn(client, client_options, std::size_t{0}, layout_of, chaos, seed));
                      },
                      [](Peers& peers, const caf::actor& actor) {
                        peers.client = caf::actor_cast<local_client_actor>(actor);
                      }});
  return children;
}

ClientSummary summary_of(NodeInbox& inbox, const RunEnd& end, const std::string& name, double wall_seconds) {
  auto summary = ClientSummary();
  summary.status = end.kind == RunEnd::Kind::goal     ? RunOutcome::completed
                   : end.kind == RunEnd::Kind::failed ? RunOutcome::failed
                                                      : RunOutcome::stopped;
  summary.reason = end.reason;
  summary.name = name;
  summary.wall_seconds = wall_seconds;
  summary.peak_rss_bytes = peak_rss_bytes();
  if (const auto tally = inbox.ask<ClientTallyPtr>(&Peers::client, kAskTimeout, status_atom_v)) {
    summary.tasks_done = (*tally)->tasks;
    summary.updates_accepted = (*tally)->updates_accepted;
    summary.updates_rejected = (*tally)->updates_rejected;
    summary.bytes_up = (*tally)->bytes_up;
    summary.bytes_down = (*tally)->bytes_down;
    summary.reconnects = (*tally)->reconnects;
    summary.last_version = (*tally)->last_version;
  }
  return summary;
}

}  // namespace

ExitCode run_client(const CommandLine& command_line, const Config& config) {
  const auto refuse = [](const Error& error) {
    spdlog::error("{}", error.text);
    return ExitCode::refused;
  };
  const auto begun = std::chrono::steady_clock::now();
  if (auto ok = check_plaintext(command_line.join.host, config.net); !ok) return refuse(ok.error());
  auto credentials = load_credentials(config.net);
  if (!credentials) return refuse(credentials.error());
  auto chaos = Chaos::parse(config.chaos_crash);
  if (!chaos) return refuse(chaos.error());
  if (const auto n = (*chaos)->dies_at_write(); n > 0) die_at_durable_step(n);
  auto folder = std::optional<RunFolder>();
  if (command_line.out) {
    auto opened = RunFolder::open({command_line.out, Role::client, command_line.resume}, config);
    if (!opened) return refuse(opened.error());
    folder = std::move(*opened);
  }

  auto options = config.client_options();
  options.name = name_of(command_line, config);
  options.in_process = false;
  options.host = command_line.join.host;
  options.port = command_line.join.port.value_or(config.net.port);
  options.tls = config.net.tls();
  options.identity = {credentials->identity, credentials->aggregator};
  if (options.tls) options.why_unreachable = take_tls_failure;
  if (folder && config.client_spool != "never") {
    auto spool = FileSpool::open(folder->path(), config.client_spool == "always");
    if (!spool) return refuse(spool.error());
    options.spool = *spool;
  }
  const auto pool = std::make_shared<WorkerPool>(1);
  spdlog::info("{} joins {}:{}", options.name, options.host, options.port);

  auto system_config = NodeSystemConfig(config.net, true);
  auto system = caf::actor_system(system_config);
  close_remote_services(system);
  auto inbox = NodeInbox(system);
  auto peers = Peers();
  peers.node = inbox.handle();
  auto supervising =
      system.spawn(supervisor, config.supervision, client_children(config, options, pool, *chaos),
                   std::move(peers), config.seed);
  if (auto started = inbox.begin(supervising); !started) {
    spdlog::error("{}", to_string(started.error()));
    return ExitCode::failed;
  }
  auto service = ServiceNotifier();
  const auto end = inbox.wait_for_end([](const RunStatus&) {}, [&] { service.alive(true, "taking part"); });
  service.stopping(end.reason);
  const auto seconds = Seconds(std::chrono::steady_clock::now() - begun).count();
  const auto summary = summary_of(inbox, end, options.name, seconds);
  inbox.stop(supervising);
  if (folder)
    if (auto ok = write_summary(folder->path() / "summary.json", summary); !ok)
      spdlog::error("{}", ok.error().text);
  const auto text = describe(summary, folder ? folder->path() : std::filesystem::path());
  std::fputs(text.c_str(), stdout);
  switch (end.kind) {
    case RunEnd::Kind::goal:
    case RunEnd::Kind::stopped:
      return ExitCode::done;
    case RunEnd::Kind::interrupted:
      return ExitCode::interrupted;
    case RunEnd::Kind::failed:
      return ExitCode::failed;
  }
  return ExitCode::failed;
}

}  // namespace fl
