// DIR/metrics.jsonl: one line a version.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "actors/run_storage.hpp"
#include "runtime/atomic_file.hpp"

namespace fl {

/// {"version": …, "time_s": …, …} without the newline: the keys of docs/configuration.md's "Files", null
/// where there is no value. bytes_up and bytes_down are totals so far.
std::string metrics_line(const VersionRecord& version);
/// The same as a value.
nlohmann::ordered_json metrics_json(const VersionRecord& version);

/// Appends line by line, each in one write; or replaces the whole atomically.
class MetricsFile {
 public:
  /// A file in the making, in place of the one there is; a month of versions is never in memory at once.
  class Replacement {
   public:
    Result<void> add(const VersionRecord& version);
    Result<void> commit();

   private:
    friend class MetricsFile;
    explicit Replacement(AtomicFile file) : file_(std::move(file)) {}
    Result<void> write();

    AtomicFile file_;
    std::string lines_;  ///< not written yet
  };

  explicit MetricsFile(std::filesystem::path file) : file_(std::move(file)) {}

  Result<void> append(const VersionRecord& version) const;
  Result<Replacement> replace() const;

 private:
  std::filesystem::path file_;
};

}  // namespace fl
