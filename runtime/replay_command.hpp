// fl_actor_node replay RUN_DIR: the model again, from the ledger.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "messages/ids.hpp"
#include "runtime/command_line.hpp"

namespace fl {

struct ReplayRequest {
  std::filesystem::path folder;
  std::optional<Version> until;
  std::string without;                    ///< a client's name or index; empty: nobody
  std::function<void(Config&)> add = {};  ///< to the run's settings: run_program's (program.hpp)
};

/// Prints the version that was reached and its model_sha256. Changes nothing in the folder. Done, failed (the
/// ledger is damaged, or the result is not what summary.json says of the finished run), or refused (no such
/// run, no kept updates, no such client).
ExitCode replay_run(const ReplayRequest& request);

}  // namespace fl
