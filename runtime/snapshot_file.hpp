// Snapshots on disk: DIR/checkpoints/version-00000012.snapshot, an envelope (messages/envelope.hpp) with the
// arrays "parameters", "optimizer.m", "optimizer.v" and "buffer" as far as there are such, each with its
// hash.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "actors/run_storage.hpp"

namespace fl {

/// What a snapshot must agree with to belong to the run.
struct SnapshotIdentity {
  std::string model;     ///< model.name
  std::string strategy;  ///< strategy.name
  std::uint64_t seed = 0;
};

/// Writes one snapshot atomically. Fails with `io_failed`.
Result<void> write_snapshot(const std::filesystem::path& file, const AggregationState& state,
                            TaskId next_task, const SnapshotIdentity& identity);

/// Reads one snapshot and verifies everything. Fails with `corrupt_data` (damaged), `io_failed`, or
/// `run_folder_refused` (whole, but of another model, strategy, seed or a newer program).
Result<StoredSnapshot> read_snapshot(const std::filesystem::path& file, const LayoutPtr& layout,
                                     const SnapshotIdentity& identity);

/// A snapshot and what it is of.
struct IdentifiedSnapshot {
  StoredSnapshot snapshot;
  SnapshotIdentity identity;
};

/// The same for one of any run, by its own word. Fails with `corrupt_data`, `io_failed`, or
/// `run_folder_refused` (of a newer program).
Result<IdentifiedSnapshot> read_snapshot_of_any_run(const std::filesystem::path& file);

/// The snapshots of one run.
class SnapshotFolder {
 public:
  /// Makes the folder at the first save. `keep` ≥ 1.
  SnapshotFolder(std::filesystem::path folder, SnapshotIdentity identity, std::uint32_t keep);

  /// Writes a snapshot, then removes the oldest beyond the number to keep. Returns its file.
  Result<std::filesystem::path> save(const AggregationState& state, TaskId next_task);

  /// The newest whole snapshot; none when there is none. Damaged ones get the ending ".damaged", with a
  /// warning in the log; what interrupted writes left behind is removed.
  Result<std::optional<StoredSnapshot>> load(const LayoutPtr& layout);

  /// Removes the snapshots above `version`.
  Result<void> remove_above(Version version);

  /// Versions of the snapshots that are there, ascending.
  std::vector<Version> versions() const;

  std::filesystem::path file_of(Version version) const;

 private:
  std::filesystem::path folder_;
  SnapshotIdentity identity_;
  std::uint32_t keep_;
};

}  // namespace fl
