// DIR/metrics.jsonl: one line a version.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "actors/run_storage.hpp"

namespace fl {

/// {"version": …, "time_s": …, …} without the newline: the keys of docs/configuration.md's "Files", null
/// where there is no value. bytes_up and bytes_down are totals so far.
std::string metrics_line(const VersionRecord& version);

/// Appends line by line, each in one write; or replaces the whole atomically.
class MetricsFile {
 public:
  explicit MetricsFile(std::filesystem::path file) : file_(std::move(file)) {}

  Result<void> append(const VersionRecord& version) const;
  Result<void> replace(std::span<const VersionRecord> versions) const;

 private:
  std::filesystem::path file_;
};

}  // namespace fl
