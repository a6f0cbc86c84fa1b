// A run kept in memory: what the run store does, without a disk. It writes down how it was used.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/run_storage.hpp"

namespace fl::test {

class MemoryStorage final : public RunStorage {
 public:
  struct Line {
    Version version;
    std::optional<Evaluation> evaluation;
  };

  std::map<std::string, ClientId> clients;
  std::vector<ClientRecord> client_records;
  std::map<std::string, std::uint32_t> strikes;
  std::map<std::string, std::string> quarantine;  ///< and why
  std::vector<StoredSnapshot> snapshots;          ///< oldest first
  std::vector<UpdateRecord> updates;
  bool durable_updates = false;  ///< keeps every update (store.durability = "update")
  std::vector<LedgerUpdate> ledger;
  std::vector<LedgerClosing> closings;
  std::map<ClientId, Task> leases;
  std::vector<VersionRecord> versions;
  std::vector<Line> lines;  ///< of metrics.jsonl
  std::vector<Version> roll_backs;
  Epoch epoch = 0;
  int commits = 0;               ///< tried
  std::optional<Error> refusal;  ///< what every write answers with while it is set

  Result<ClientId> bind_client(const std::string& name, std::uint32_t clients_count,
                               const std::set<ClientId>& connected) override;
  Result<void> save_client(const ClientRecord& client) override;
  Result<std::uint32_t> add_strike(const std::string& name, const std::string& reason,
                                   std::uint32_t limit) override;
  Result<std::optional<std::string>> quarantine_reason(const std::string& name) override;
  Result<std::vector<std::string>> quarantined() override;
  Result<void> save_snapshot(const AggregationState& state, TaskId next_task) override;
  Result<std::optional<StoredSnapshot>> load_snapshot(const LayoutPtr&) override;
  Result<void> commit(const LedgerBatch& batch) override;
  bool keeps_updates() const override { return durable_updates; }
  Result<void> read_ledger(Version after, const LedgerReader& reader) override;
  Result<std::vector<UpdateRecord>> newest_accepted() override;
  Result<void> save_lease(const Task& task) override;
  Result<std::vector<Task>> open_leases() override;
  Result<void> save_measures(const MeasuresTable& table) override {
    const auto lock = std::lock_guard(mutex_);
    measures = table;
    return {};
  }
  Result<MeasuresTable> load_measures() override {
    const auto lock = std::lock_guard(mutex_);
    return measures;
  }
  Result<void> save_version(const VersionRecord& version) override;
  Result<void> complete_version(Version version, const std::optional<Evaluation>& evaluation) override;
  Result<RunTotals> roll_back(Version version) override;
  std::optional<double> best_accuracy() override;
  MeasuresTable measures;
  Result<Epoch> next_epoch() override { return ++epoch; }
  std::string transfer_folder() const override { return {}; }

  /// Numbers of the versions that have a line, in the order of the lines.
  std::vector<Version> line_versions() const;

 private:
  std::mutex mutex_;
};

}  // namespace fl::test
