// The server of one run: who starts in which order, what is shown meanwhile, how it ends. The simulation and
// the aggregator are the same server; they differ in where their clients are.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/chaos.hpp"
#include "actors/session.hpp"
#include "actors/supervisor.hpp"
#include "learning/ahead_pool.hpp"
#include "learning/worker_pool.hpp"
#include "runtime/command_line.hpp"
#include "runtime/run_folder.hpp"
#include "runtime/run_store.hpp"
#include "runtime/workbench.hpp"

namespace fl {

/// What simulation and aggregator have in common before they start.
struct ServerSetup {
  Config config;
  Role role = Role::simulate;
  RunFolder folder;
  std::shared_ptr<RunStore> store;
  Workbench workbench;
  ChaosPtr chaos;
  std::shared_ptr<WorkerPool> pool;
  std::shared_ptr<AheadPool> ahead;  ///< instead of `pool` when time is simulated
  std::string resume_command;        ///< for the closing text
};

/// How the server is reached and who its clients are.
struct ServerPlan {
  std::vector<ChildSpec> clients;  ///< trainers and clients of this process, after the server's
  /// Instead: makes them, given how sessions are made; empty: as `clients` says.
  std::function<std::vector<ChildSpec>(const ServerSetup&, const SessionOptions&, const Welcome&,
                                       Seconds time_before)>
      fleet;
  std::function<void(caf::actor_system&, const gateway_actor&)> publish;  ///< empty: not on the network
  std::function<void(RunFolder&)> on_begin;               ///< once everything stands; may be empty
  AdmissionOptions admission;                             ///< who may join
  std::function<Result<AllowListPtr>()> read_allow_list;  ///< at SIGHUP; empty: there is no list
};

/// Checks everything that can be refused (data, model, folder) before anything is written. The error's exit
/// code is that of bad usage. `completed` instead of a setup: a resume of a run that is complete.
Result<ServerSetup> prepare_server(const CommandLine& command_line, const Config& config);

/// Runs until a goal is reached, a signal comes or something fails; leaves summary, exports and store behind.
ExitCode run_server(ServerSetup setup, ServerPlan plan, caf::actor_system& system);

}  // namespace fl
