#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <caf/io/all.hpp>
#include <cstdio>
#include <mutex>
#include <optional>
#include <thread>

#include "actors/client.hpp"
#include "actors/supervisor.hpp"
#include "actors/trainer.hpp"
#include "learning/random.hpp"
#include "runtime/actor_system.hpp"
#include "runtime/client_profiles.hpp"
#include "runtime/client_residuals.hpp"
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
/// How long the clients of a process have to hear that the run is over, after the first of them has.
constexpr auto kFarewell = std::chrono::seconds(5);
constexpr auto kFarewellPoll = std::chrono::milliseconds(50);
constexpr std::size_t kMaxName_letters = 64;

/// The model that the newest welcome named, and the data, once for all clients of this process: the trainers
/// work with them, the clients need the layout to receive a base.
class SharedBench {
 public:
  /// Loads it with the first client of a run; the others wait for that.
  Result<TrainingMeans> means_for(const Config& config, const Welcome& welcome) {
    const auto loading = std::lock_guard(loading_);
    if (run_id_ != welcome.run_id || layout_fingerprint_ != welcome.layout_fingerprint) {
      auto bench = make_client_workbench(config, welcome);
      if (!bench) return tl::unexpected(bench.error());
      const auto lock = std::lock_guard(mutex_);
      bench_ = std::move(*bench);
      initial_.emplace(bench_.trainer);
      run_id_ = welcome.run_id;
      layout_fingerprint_ = welcome.layout_fingerprint;
    }
    return make_client_means(config, bench_, welcome);
  }
  LayoutPtr layout() const {
    const auto lock = std::lock_guard(mutex_);
    return bench_.trainer ? bench_.trainer->layout() : nullptr;
  }
  /// Version 0 of a run with this seed.
  ParametersPtr initial_model(std::uint64_t seed) {
    const auto lock = std::lock_guard(mutex_);
    return initial_ ? initial_->of(seed) : nullptr;
  }

 private:
  std::mutex loading_;
  mutable std::mutex mutex_;  ///< of bench_, which is read while another run's is loaded
  Workbench bench_;
  std::optional<InitialModel> initial_;
  std::string run_id_;
  std::uint64_t layout_fingerprint_ = 0;
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

/// NAME, or NAME-0, NAME-1, … Fails when one is too long.
Result<std::vector<std::string>> client_names(const std::string& name, std::uint32_t count) {
  if (count == 1) return std::vector{name};
  auto names = std::vector<std::string>();
  for (auto index = std::uint32_t{0}; index < count; ++index)
    names.push_back(name + "-" + std::to_string(index));
  if (names.back().size() > kMaxName_letters)
    return fail(ec::bad_config,
                "the name " + names.back() + " has more than " + std::to_string(kMaxName_letters) +
                    " letters; choose a shorter --name for client.count = " + std::to_string(count));
  return names;
}

/// Trainers first, so that every client finds its own.
std::vector<ChildSpec> client_children(const Config& config, const std::vector<ClientOptions>& clients,
                                       const std::shared_ptr<WorkerPool>& pool, const ChaosPtr& chaos) {
  const auto bench = std::make_shared<SharedBench>();
  auto children = std::vector<ChildSpec>();
  for (auto index = std::size_t{0}; index < clients.size(); ++index) {
    auto options = TrainerActorOptions();
    options.id = "trainer-" + std::to_string(index);
    options.prepare = [config, bench](const Welcome& welcome) { return bench->means_for(config, welcome); };
    options.pool = pool;
    options.speed = clients[index].speed;
    options.chaos = chaos;
    // One may block while it loads its data; many share the scheduler's threads.
    const auto alone = clients.size() == 1;
    children.push_back({options.id,
                        [options, alone](caf::actor_system& system) {
                          return caf::actor_cast<caf::actor>(
                              alone ? system.spawn<caf::detached>(trainer, options)
                                    : system.spawn(trainer, options));
                        },
                        [index](Peers& peers, const caf::actor& actor) {
                          if (peers.trainers.size() <= index) peers.trainers.resize(index + 1);
                          peers.trainers[index] = caf::actor_cast<trainer_actor>(actor);
                        },
                        false});
  }
  const auto layout_of = std::function<LayoutPtr()>([bench] { return bench->layout(); });
  for (auto index = std::size_t{0}; index < clients.size(); ++index) {
    auto options = clients[index];
    options.initial_model = [bench](std::uint64_t seed) { return bench->initial_model(seed); };
    // By the name, so that the clients of many processes do not come back at the same moments.
    const auto seed = stream_seed(config.seed, options.name);
    children.push_back({"client-" + std::to_string(index),
                        [=](caf::actor_system& system) {
                          return caf::actor_cast<caf::actor>(
                              system.spawn(client, options, index, layout_of, chaos, seed));
                        },
                        [index](Peers& peers, const caf::actor& actor) {
                          if (peers.clients.size() <= index) peers.clients.resize(index + 1);
                          peers.clients[index] = caf::actor_cast<local_client_actor>(actor);
                        }});
  }
  return children;
}

/// Adds up what the clients have done. At the end of the run each has a moment to hear of it, and of its last
/// receipt.
ClientSummary summary_of(NodeInbox& inbox, const RunEnd& end, const std::string& name, std::size_t clients,
                         double wall_seconds) {
  auto summary = ClientSummary();
  summary.status = end.kind == RunEnd::Kind::goal     ? RunOutcome::completed
                   : end.kind == RunEnd::Kind::failed ? RunOutcome::failed
                                                      : RunOutcome::stopped;
  summary.reason = end.reason;
  summary.name = name;
  summary.clients = static_cast<std::uint32_t>(clients);
  summary.wall_seconds = wall_seconds;
  summary.peak_rss_bytes = peak_rss_bytes();
  const auto until = std::chrono::steady_clock::now() + kFarewell;
  for (auto index = std::size_t{0}; index < clients; ++index) {
    const auto of_index = [index](const Peers& peers) {
      return index < peers.clients.size() ? peers.clients[index] : local_client_actor();
    };
    auto tally = inbox.ask<ClientTallyPtr>(of_index, kAskTimeout, status_atom_v);
    while (end.kind == RunEnd::Kind::goal && tally && (*tally)->finished.empty() &&
           std::chrono::steady_clock::now() < until) {
      inbox.self()->receive(caf::after(kFarewellPoll) >> [] {});
      tally = inbox.ask<ClientTallyPtr>(of_index, kAskTimeout, status_atom_v);
    }
    if (!tally) continue;
    summary.tasks_done += (*tally)->tasks;
    summary.updates_accepted += (*tally)->updates_accepted;
    for (const auto& [reason, count] : (*tally)->updates_rejected) summary.updates_rejected[reason] += count;
    summary.bytes_up += (*tally)->bytes_up;
    summary.bytes_down += (*tally)->bytes_down;
    summary.reconnects += (*tally)->reconnects;
    summary.last_version = std::max(summary.last_version, (*tally)->last_version);
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
  const auto name = name_of(command_line, config);
  options.in_process = false;
  options.host = command_line.join.host;
  options.port = command_line.join.port.value_or(config.net.port);
  options.tls = config.net.tls();
  options.identity = {credentials->identity, credentials->aggregator};
  if (options.tls) options.why_unreachable = take_tls_failure;
  if (credentials->identity && config.client_count > 1)
    return refuse({ec::bad_config, "net.identity is the key of one name, but client.count = " +
                                       std::to_string(config.client_count) +
                                       " makes many; start a process for each client that has a key"});
  const auto names = client_names(name, config.client_count);
  if (!names) return refuse(names.error());
  auto clients = std::vector<ClientOptions>();
  for (const auto& each : *names) {
    options.name = each;
    options.residuals = std::make_shared<MemoryResiduals>();
    if (folder && config.client_spool != "never") {
      const auto place = names->size() == 1 ? folder->path() : folder->path() / "clients" / each;
      auto spool = FileSpool::open(place, config.client_spool == "always");
      if (!spool) return refuse(spool.error());
      options.spool = *spool;
      options.residuals = std::make_shared<FileResiduals>(place / "spool");
    }
    clients.push_back(options);
  }
  const auto cores = std::max(1u, std::thread::hardware_concurrency());
  const auto workers = config.simulate.workers > 0 ? config.simulate.workers : cores;
  const auto pool = std::make_shared<WorkerPool>(std::min<std::size_t>(workers, clients.size()));
  spdlog::info("{} joins {}:{}{}", name, options.host, options.port,
               clients.size() == 1 ? "" : " as " + std::to_string(clients.size()) + " clients");

  auto system_config = NodeSystemConfig(config.net, true);
  auto system = caf::actor_system(system_config);
  close_remote_services(system);
  auto inbox = NodeInbox(system);
  auto peers = Peers();
  peers.node = inbox.handle();
  auto supervising =
      system.spawn(supervisor, config.supervision, client_children(config, clients, pool, *chaos),
                   std::move(peers), config.seed);
  if (auto started = inbox.begin(supervising); !started) {
    spdlog::error("{}", to_string(started.error()));
    return ExitCode::failed;
  }
  auto actors = RunningActors(inbox, supervising);
  auto service = ServiceNotifier();
  const auto end = inbox.wait_for_end([](const RunStatus&) {}, [&] { service.alive(true, "taking part"); });
  service.stopping(end.reason);
  const auto seconds = Seconds(std::chrono::steady_clock::now() - begun).count();
  const auto summary = summary_of(inbox, end, name, clients.size(), seconds);
  actors.stop();
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
