// The end of a run: summary.json, and what is said to people.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "messages/errors.hpp"
#include "messages/ids.hpp"

namespace fl {

/// How a run, or a client's part in it, ended.
enum class RunOutcome {
  completed,  ///< a goal was reached
  stopped,    ///< interrupted with its state saved
  failed,
};

/// "completed", "stopped", "failed".
std::string_view name_of(RunOutcome outcome);

/// summary.json of a run; the names are its keys. Counts are over the whole run, resumes included.
struct RunSummary {
  RunOutcome status = RunOutcome::failed;
  std::string reason;  ///< which goal was reached, who stopped it, what failed
  std::string strategy;
  std::uint32_t clients = 0;
  Version model_version = 0;
  std::uint64_t updates_accepted = 0;
  std::map<std::string, std::uint64_t> updates_rejected;  ///< by name_of(ec)
  std::vector<std::string> quarantined;                   ///< names of clients (validate.strikes)
  double staleness_mean = 0;
  std::uint64_t staleness_max = 0;
  std::optional<double> final_accuracy;  ///< see Evaluation::accuracy; none: never evaluated
  std::optional<double> best_accuracy;
  std::optional<double> final_loss;
  std::map<std::string, double> final_metrics;  ///< see Evaluation::metrics
  double wall_seconds = 0;                      ///< from the first lease to the stop
  std::optional<double> virtual_seconds;        ///< simulated time
  std::optional<std::uint64_t>
      events;  ///< messages between actors in this life of the process, where counted
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
  std::uint64_t restarts = 0;
  std::optional<Version> resumed_from_version;
  std::string model_sha256;             ///< of the float32 parameters, hexadecimal
  double sparsity = 0;                  ///< share of the weights that are zero (train.prune_ratio)
  std::optional<double> int8_accuracy;  ///< of model.int8.safetensors; none: not asked for, or not measured
  std::uint64_t peak_rss_bytes = 0;
};

/// summary.json of a client; the names are its keys.
struct ClientSummary {
  RunOutcome status = RunOutcome::failed;
  std::string reason;
  std::string name;
  std::uint32_t clients = 1;  ///< of this process (client.count); the counts are of all of them
  std::uint64_t tasks_done = 0;
  std::uint64_t updates_accepted = 0;
  std::map<std::string, std::uint64_t> updates_rejected;  ///< by name_of(ec)
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
  std::uint64_t reconnects = 0;
  Version last_version = 0;  ///< the newest base it trained from
  double wall_seconds = 0;   ///< since its start
  std::uint64_t peak_rss_bytes = 0;
};

/// Writes the file atomically: after a crash it is the old one or the new one, never half. Fails with
/// `io_failed`.
Result<void> write_summary(const std::filesystem::path& file, const RunSummary& summary);
Result<void> write_summary(const std::filesystem::path& file, const ClientSummary& summary);

/// Fails with `io_failed` when there is none, with `corrupt_data` when it is not such a summary.
Result<RunSummary> read_summary(const std::filesystem::path& file);
Result<ClientSummary> read_client_summary(const std::filesystem::path& file);

/// The closing text for people, several lines: what happened, what it cost, which of the files of `out_dir`
/// are where (empty: none were kept), what to do next. `resume_command` is offered when the run did not
/// complete; empty: not.
std::string describe(const RunSummary& summary, const std::filesystem::path& out_dir,
                     std::string_view resume_command = {});
std::string describe(const ClientSummary& summary, const std::filesystem::path& out_dir);

/// What `fl_actor_node status RUN_DIR` prints of a run's or a client's folder: its summary, or, where a run
/// has not ended, its last finished version. Fails with `bad_config` when the folder holds neither.
Result<std::string> describe_folder(const std::filesystem::path& dir);

/// The most memory this process has had resident.
std::uint64_t peak_rss_bytes();

}  // namespace fl
