#include "runtime/server.hpp"

#include <spdlog/spdlog.h>

#include <atomic>
#include <caf/scheduler/test_coordinator.hpp>
#include <mutex>
#include <optional>

#include "actors/aggregator.hpp"
#include "actors/checkpointer.hpp"
#include "actors/evaluator.hpp"
#include "actors/gateway.hpp"
#include "actors/metrics.hpp"
#include "actors/scheduler.hpp"
#include "runtime/closing.hpp"
#include "runtime/dashboard/dashboard.hpp"
#include "runtime/durable_steps.hpp"
#include "runtime/logging.hpp"
#include "runtime/node_inbox.hpp"
#include "runtime/progress.hpp"
#include "runtime/service_notifier.hpp"
#include "runtime/signals.hpp"

namespace fl {

namespace {

/// Decisions that metrics hears of at once in virtual time, where thousands fall in a second.
constexpr std::size_t kToldTogether = 64;

template <class Handle>
std::function<void(Peers&, const caf::actor&)> entering(Handle Peers::*place) {
  return [place](Peers& peers, const caf::actor& actor) { peers.*place = caf::actor_cast<Handle>(actor); };
}

template <class Actor>
caf::actor handle_of(const Actor& actor) {
  return caf::actor_cast<caf::actor>(actor);
}

/// An actor that waits for the disk has a thread of its own, unless time is simulated.
template <class... Arguments>
caf::actor spawn_blocking(caf::actor_system& system, const Arguments&... arguments) {
  if (dynamic_cast<caf::scheduler::test_coordinator*>(&system.scheduler()) != nullptr)
    return handle_of(system.spawn(arguments...));
  return handle_of(system.spawn<caf::detached>(arguments...));
}

Welcome terms_of(const ServerSetup& setup) {
  const auto& config = setup.config;
  auto terms = Welcome();
  terms.run_id = setup.store->run_id();
  terms.clients_count = config.clients.count;
  terms.seed = config.seed;
  terms.model_name = setup.workbench.model_name;
  terms.loss = to_string(config.trainer.loss);
  terms.model_parameters = config.trainer.model_parameters;
  terms.layout_fingerprint = setup.workbench.trainer->layout()->fingerprint();
  terms.partition = config.partition;
  terms.update_content = wants_model(config.strategy.name) ? "model" : "delta";
  terms.validation_fraction = config.validation_fraction;
  terms.changes_only = !config.downloads.whole_only();
  if (setup.workbench.schema) terms.data_schema = to_json(*setup.workbench.schema);
  return terms;
}

/// The newest allow list, also for a gateway that is restarted.
class CurrentAllowList {
 public:
  explicit CurrentAllowList(AllowListPtr list) : list_(std::move(list)) {}
  AllowListPtr get() const {
    const auto lock = std::lock_guard(mutex_);
    return list_;
  }
  void set(AllowListPtr list) {
    const auto lock = std::lock_guard(mutex_);
    list_ = std::move(list);
  }

 private:
  mutable std::mutex mutex_;
  AllowListPtr list_;
};

/// The server's own actors, in the order of starting.
std::vector<ChildSpec> server_children(const ServerSetup& setup, const ServerPlan& plan,
                                       const caf::actor_clock& clock,
                                       const std::shared_ptr<CurrentAllowList>& allowed,
                                       std::function<void(Version)> on_restored) {
  const auto& config = setup.config;
  const auto& trainer = setup.workbench.trainer;
  const auto store = std::static_pointer_cast<RunStorage>(setup.store);
  const auto chaos = setup.chaos;
  auto children = std::vector<ChildSpec>();

  const auto durable_updates = store->keeps_updates();
  const auto initial = std::function<Parameters()>(
      [trainer, seed = config.seed] { return trainer->initial_parameters(seed); });
  const auto recovery =
      CheckpointerOptions{trainer->layout(), config.strategy, config.server_optimizer, initial};
  children.push_back({"checkpointer",
                      [=](caf::actor_system& system) {
                        return spawn_blocking(system, checkpointer, recovery, store, chaos);
                      },
                      entering(&Peers::checkpointer)});

  const auto virtual_time = setup.ahead != nullptr;
  auto metrics_options = MetricsOptions{config.goals, to_string(config.strategy.name)};
  metrics_options.virtual_time = virtual_time;
  const auto board = std::make_shared<RunBoard>();
  metrics_options.board = board;
  children.push_back({"metrics",
                      [=](caf::actor_system& system) {
                        return spawn_blocking(system, metrics, metrics_options, store, chaos);
                      },
                      entering(&Peers::metrics)});

  const auto& bench = setup.workbench;
  const auto unscaled =
      bench.data.test ? std::make_shared<const DataView>(DataView::all(bench.data.test)) : nullptr;
  const auto means = EvaluationMeans{trainer, unscaled, setup.pool, setup.ahead, bench.survey};
  children.push_back({"evaluator",
                      [=, options = config.evaluation](caf::actor_system& system) {
                        return handle_of(system.spawn(evaluator, options, means, chaos));
                      },
                      entering(&Peers::evaluator)});

  auto scheduling = config.scheduler;
  scheduling.durable_updates = durable_updates;
  auto memory = SchedulerMemory();
  memory.next_epoch = [store] {
    auto epoch = store->next_epoch();
    if (!epoch) throw std::runtime_error(to_string(epoch.error()));
    return *epoch;
  };
  memory.measures = [store] {
    auto measures = store->load_measures();
    if (!measures) throw std::runtime_error(to_string(measures.error()));
    return *measures;
  };
  memory.board = board;
  if (virtual_time) memory.save_every = Seconds(0);
  if (durable_updates)
    memory.open_leases = [store] {
      auto leases = store->open_leases();
      if (!leases) throw std::runtime_error(to_string(leases.error()));
      return *leases;
    };
  children.push_back({"scheduler",
                      [=, options = scheduling](caf::actor_system& system) {
                        return handle_of(system.spawn(scheduler, options, memory, chaos));
                      },
                      entering(&Peers::scheduler)});

  auto aggregation = AggregatorOptions();
  aggregation.strategy = config.strategy;
  aggregation.optimizer = config.server_optimizer;
  aggregation.goals = config.goals;
  aggregation.snapshot_every = config.store.snapshot_every;
  const auto on_network = static_cast<bool>(plan.publish);
  if (on_network) aggregation.transfer_folder = store->transfer_folder();
  aggregation.initial = initial;
  const auto downloads = std::make_shared<Downloads>(config.downloads);
  aggregation.downloads = downloads;
  aggregation.durable_updates = durable_updates;
  if (virtual_time) aggregation.tell_together = kToldTogether;
  aggregation.on_restored = std::move(on_restored);
  const auto before = setup.store->last_version();
  const auto totals_before = before && *before ? (*before)->totals : RunTotals();
  const auto spent_before =
      Seconds(virtual_time ? totals_before.virtual_seconds : totals_before.wall_seconds);
  aggregation.spent = [spent_before, &clock, begun = clock.now()] {
    return spent_before + Seconds(clock.now() - begun);
  };
  children.push_back(
      {"aggregator",
       [=](caf::actor_system& system) { return handle_of(system.spawn(aggregator, aggregation, chaos)); },
       entering(&Peers::aggregator)});

  auto sessions = SessionOptions();
  sessions.layout = trainer->layout();
  sessions.whole_model = wants_model(config.strategy.name);
  sessions.evaluate_on_clients = config.evaluation.on_clients;
  if (on_network) sessions.transfer_folder = store->transfer_folder();
  sessions.downloads = downloads;
  sessions.survey = bench.survey;
  sessions.conduct = config.conduct;
  // Clients of this process cost no more than they are worth.
  if (!on_network) sessions.conduct.max_requests_per_second = 0;
  sessions.max_model_bytes = config.net.max_model_bytes;
  sessions.durable_updates = durable_updates;
  sessions.storage = store;
  sessions.board = board;
  sessions.chaos = chaos;
  children.push_back({"gateway",
                      [=, terms = terms_of(setup), publish = plan.publish,
                       admission = plan.admission](caf::actor_system& system) {
                        auto options = admission;
                        options.allowed = allowed->get();
                        auto actor = system.spawn(gateway, terms, sessions, options);
                        if (publish) publish(system, actor);
                        return handle_of(actor);
                      },
                      entering(&Peers::gateway)});

  const auto clients = plan.fleet ? plan.fleet(setup, sessions, terms_of(setup), spent_before) : plan.clients;
  children.insert(children.end(), clients.begin(), clients.end());
  return children;
}

}  // namespace

Result<ServerSetup> prepare_server(const CommandLine& command_line, const Config& config) {
  auto request = RunFolderRequest{command_line.out, command_line.role, command_line.resume};
  auto start = RunFolder::examine(request, config);
  if (!start) return tl::unexpected(start.error());
  auto chaos = Chaos::parse(config.chaos_crash);
  if (!chaos) return tl::unexpected(chaos.error());
  if (const auto n = (*chaos)->dies_at_write(); n > 0) die_at_durable_step(n);
  auto workbench = Result<Workbench>(Workbench());
  if (*start != RunFolder::Start::completed) {
    workbench = make_server_workbench(config, command_line.role == Role::simulate);
    if (!workbench) return tl::unexpected(workbench.error());
    // Clients would be refused for what they cannot help.
    if (const auto bytes = workbench->trainer->layout()->size_bytes(); bytes > config.net.max_model_bytes)
      return fail(ec::bad_config, "the model has " + std::to_string(bytes) +
                                      " bytes, more than net.max_model_bytes = " +
                                      std::to_string(config.net.max_model_bytes));
  }
  auto folder = RunFolder::open(request, config);
  if (!folder) return tl::unexpected(folder.error());
  auto store = Result<std::shared_ptr<RunStore>>(nullptr);
  if (*start != RunFolder::Start::completed) {
    if (auto ok = keep_data(*workbench, config, folder->path()); !ok) {
      std::move(*folder).discard();
      return tl::unexpected(ok.error());
    }
    const auto identity =
        SnapshotIdentity{workbench->model_name, to_string(config.strategy.name), config.seed};
    const auto ledger =
        LedgerOptions{config.store.durability == "update", config.store.keep_updates, config.store.max_bytes};
    store =
        RunStore::open(folder->path(), {identity, config.store.keep_snapshots, ledger, config.tensorboard});
    if (!store) return tl::unexpected(store.error());
  }
  const auto workers = std::max(
      1u, config.simulate.workers > 0 ? config.simulate.workers : std::thread::hardware_concurrency());
  const auto virtual_time = command_line.role == Role::simulate && config.simulate.clock == "virtual";
  const auto trains_nothing = config.trainer.backend == "echo";
  auto resume = "fl_actor_node --role " + std::string(to_string(command_line.role)) + " --out " +
                folder->path().string() + " --resume";
  return ServerSetup{config,
                     command_line.role,
                     std::move(*folder),
                     std::move(*store),
                     std::move(*workbench),
                     std::move(*chaos),
                     virtual_time ? nullptr : std::make_shared<WorkerPool>(workers),
                     virtual_time ? std::make_shared<AheadPool>(trains_nothing ? 0 : workers) : nullptr,
                     std::move(resume)};
}

namespace {

/// The page about the run, if there is to be one; null: there is not.
Result<std::unique_ptr<Dashboard>> start_dashboard(const ServerSetup& setup) {
  if (!setup.config.dashboard.enabled) return nullptr;
  auto view = RunView::open(setup.folder.path(), true);
  if (!view) return tl::unexpected(view.error());
  auto dashboard = Dashboard::start(setup.config.dashboard, std::move(*view));
  if (dashboard) spdlog::info("dashboard at {}", (*dashboard)->url());
  return dashboard;
}

/// Where the clients are is asked only while somebody looks.
void show(Dashboard& dashboard, const RunStatus& status, NodeInbox& inbox) {
  dashboard.view().show(status);
  if (!dashboard.is_watched()) return;
  const auto places = inbox.ask<WhereaboutsPtr>(&Peers::scheduler, std::chrono::seconds(1), status_atom_v,
                                                std::uint64_t{RunView::kMaxClients});
  if (places) dashboard.view().show(**places);
}

}  // namespace

ExitCode run_server(ServerSetup setup, ServerPlan plan, caf::actor_system& system) {
  // A run that goes on has no end yet.
  auto no_summary = std::error_code();
  std::filesystem::remove(setup.folder.path() / "summary.json", no_summary);
  auto resumed_from = std::make_shared<std::atomic<std::int64_t>>(-1);
  auto clock = std::optional<VirtualClock>();
  if (setup.ahead) clock.emplace(system);
  auto inbox = NodeInbox(system, clock ? &*clock : nullptr);
  auto display = ProgressDisplay(standard_progress_output(setup.config.show_progress));
  auto route = LogRoute([&](std::string_view line) { display.print_above(line); });

  auto peers = Peers();
  peers.node = inbox.handle();
  auto allowed = std::make_shared<CurrentAllowList>(plan.admission.allowed);
  if (plan.read_allow_list) {
    watch_reload_signal();
    inbox.on_reload([&inbox, allowed, read = plan.read_allow_list] {
      auto list = read();
      if (!list) {
        spdlog::error("{}; the list in use stays", list.error().text);
        return;
      }
      spdlog::info("the allow list was read again: {} clients may join", (*list)->size());
      allowed->set(*list);
      if (inbox.has_peers()) caf::anon_send(inbox.peers().gateway, *list);
    });
    // A gateway that was being restarted meanwhile may have begun with the list before.
    inbox.on_peers([allowed](const Peers& newest) { caf::anon_send(newest.gateway, allowed->get()); });
  }
  auto children = server_children(setup, plan, system.clock(), allowed, [resumed_from](Version version) {
    auto none = std::int64_t{-1};
    resumed_from->compare_exchange_strong(none, static_cast<std::int64_t>(version));
  });
  auto supervising = system.spawn(supervisor, setup.config.supervision, std::move(children), std::move(peers),
                                  setup.config.seed);
  if (auto begun = inbox.begin(supervising); !begun) {
    display.finish();
    spdlog::error("{}", to_string(begun.error()));
    return ExitCode::failed;
  }
  if (plan.on_begin) plan.on_begin(setup.folder);

  auto dashboard = start_dashboard(setup);
  if (!dashboard) spdlog::error("{}; the run goes on without a page", dashboard.error().text);
  const auto page = dashboard ? dashboard->get() : nullptr;
  auto listener = std::optional<LogListener>();
  if (page)
    listener.emplace([page](auto time, std::string_view level, std::string_view message) {
      page->view().note(
          {0, utc_text(time), "log", level == "warn" ? "warning" : std::string(level), std::string(message)});
    });

  auto actors = RunningActors(inbox, supervising);
  auto service = ServiceNotifier();
  const auto end = inbox.wait_for_end([&](const RunStatus& status) {
    display.show(status);
    if (page) show(*page, status, inbox);
    service.alive(status.not_ready.empty(), status.state + ", version " + std::to_string(status.version));
  });
  service.stopping(end.reason);
  auto summary = close_run(setup, inbox, end);
  summary.resumed_from_version = *resumed_from >= 0 ? std::optional<Version>(*resumed_from) : std::nullopt;
  actors.stop();
  display.finish();
  return finish_run(setup, end, std::move(summary));
}

}  // namespace fl
