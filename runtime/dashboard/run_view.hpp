// A run as its dashboard shows it: what its folder holds, and, where this process works on it, how it goes.
// The JSON of every request of docs/dashboard.md is made here.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "learning/selection/whereabouts.hpp"
#include "messages/run_status.hpp"
#include "runtime/config.hpp"
#include "runtime/sqlite_database.hpp"

namespace fl {

/// Something that happened, for people.
struct RunEvent {
  std::uint64_t id = 0;  ///< rising, from 1, within this process
  std::string time;      ///< UTC, ISO 8601
  std::string kind;      ///< "log" | "quarantine"
  std::string level;     ///< "info" | "warning" | "error"
  std::string text;
};

/// Thread-safe. Reads the run's database, and writes nothing.
class RunView {
 public:
  using Json = nlohmann::ordered_json;

  /// At most so many of each in one answer.
  static constexpr std::size_t kMaxVersions = 5'000;
  static constexpr std::size_t kMaxClients = 1'000;
  static constexpr std::size_t kMaxEvents = 500;
  /// Staleness 0 to 30, and 31 and more.
  static constexpr std::size_t kStalenessBins = 32;

  /// Fails with `bad_config` when the folder holds no run, or as SQLite does. `live`: this process works on
  /// it.
  static Result<std::shared_ptr<RunView>> open(const std::filesystem::path& folder, bool live);

  // What a process that works on the run tells of it.
  void show(const RunStatus& status);
  void show(Whereabouts whereabouts);
  void note(RunEvent event);

  /// Waits until it was told lately where the clients are, at most so long. Nobody tells one that is not
  /// live.
  void await_whereabouts(std::chrono::milliseconds patience);

  Result<Json> run();
  Json config() const;
  Result<Json> versions(Version after);
  Result<Json> clients();
  Result<Json> staleness();
  Result<Json> events(std::uint64_t after);

  /// Newest version that is complete, and newest event: what a stream begins behind.
  Result<Version> newest_version();
  std::uint64_t newest_event();

  /// What the run is, for metrics: the newest status, and totals by reason.
  struct Counts {
    std::optional<RunStatus> status;
    std::map<std::string, std::uint64_t> rejected;
    std::vector<std::uint64_t> staleness;  ///< [kStalenessBins]
    double staleness_sum = 0;
    std::uint64_t accepted = 0;
  };
  Result<Counts> counts();

 private:
  /// Of one client's updates.
  struct Contribution {
    std::uint64_t updates = 0;
    double staleness = 0;  ///< Σ
    double last_s = 0;
  };

  RunView(std::filesystem::path folder, Config config, SqliteDatabase database, bool live);
  Result<void> catch_up();
  Result<Json> stored_run();

  std::optional<RunStatus> status() const;

  std::mutex mutex_;  ///< of the database and what was read of it; taken before the other where both are
  std::filesystem::path folder_;
  Config config_;
  SqliteDatabase database_;
  bool live_;
  bool knows_offenders_ = true;  ///< the database has the table
  bool knows_measures_ = true;
  mutable std::mutex live_mutex_;  ///< of what the process tells, which is not to wait for the disk
  std::optional<RunStatus> status_;
  Whereabouts whereabouts_;
  std::optional<std::chrono::steady_clock::time_point> placed_at_;  ///< whereabouts_ is of then
  std::condition_variable placed_;
  std::deque<RunEvent> events_;
  std::uint64_t last_event_ = 0;
  // Of the decisions up to `sequence_`.
  std::uint64_t sequence_ = 0;
  std::vector<Contribution> contributions_;  ///< by client
  std::vector<std::uint64_t> staleness_ = std::vector<std::uint64_t>(kStalenessBins);
  double staleness_sum_ = 0;
  std::uint64_t accepted_ = 0;
  std::map<std::string, std::uint64_t> rejected_;
};

}  // namespace fl
