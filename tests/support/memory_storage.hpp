// A run kept in memory: what the run store does, without a disk. It writes down how it was used.
#pragma once

#include <algorithm>
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
  std::optional<Error> refusal;  ///< what every write answers with while it is set

  Result<ClientId> bind_client(const std::string& name, std::uint32_t clients_count,
                               const std::set<ClientId>& connected) override {
    const auto lock = std::lock_guard(mutex_);
    if (const auto known = clients.find(name); known != clients.end()) return known->second;
    for (const auto anyone : {false, true}) {
      for (auto id = ClientId{0}; id < clients_count; ++id) {
        const auto owner = std::find_if(clients.begin(), clients.end(),
                                        [&](const auto& entry) { return entry.second == id; });
        if (owner != clients.end() && (!anyone || connected.contains(id))) continue;
        if (owner != clients.end()) clients.erase(owner);
        clients[name] = id;
        return id;
      }
    }
    return fail(ec::hello_refused, "all places are taken");
  }

  Result<void> save_client(const ClientRecord& client) override {
    const auto lock = std::lock_guard(mutex_);
    client_records.push_back(client);
    return {};
  }

  Result<std::uint32_t> add_strike(const std::string& name, const std::string& reason,
                                   std::uint32_t limit) override {
    const auto lock = std::lock_guard(mutex_);
    const auto count = ++strikes[name];
    if (count >= limit) quarantine[name] = reason;
    return count;
  }

  Result<std::optional<std::string>> quarantine_reason(const std::string& name) override {
    const auto lock = std::lock_guard(mutex_);
    const auto found = quarantine.find(name);
    return found == quarantine.end() ? std::nullopt : std::optional(found->second);
  }

  Result<std::vector<std::string>> quarantined() override {
    const auto lock = std::lock_guard(mutex_);
    auto names = std::vector<std::string>();
    for (const auto& [name, reason] : quarantine) names.push_back(name);
    return names;
  }

  Result<void> save_snapshot(const AggregationState& state, TaskId next_task) override {
    const auto lock = std::lock_guard(mutex_);
    if (refusal) return tl::unexpected(*refusal);
    snapshots.push_back({state.clone(), next_task});
    return {};
  }

  Result<std::optional<StoredSnapshot>> load_snapshot(const LayoutPtr&) override {
    const auto lock = std::lock_guard(mutex_);
    if (refusal) return tl::unexpected(*refusal);
    if (snapshots.empty()) return std::optional<StoredSnapshot>();
    return StoredSnapshot{snapshots.back().state.clone(), snapshots.back().next_task};
  }

  Result<void> commit(const LedgerBatch& batch) override {
    const auto lock = std::lock_guard(mutex_);
    if (refusal) return tl::unexpected(*refusal);
    for (const auto& update : batch.accepted) {
      updates.push_back(update.record);
      if (durable_updates && (ledger.empty() || update.number > ledger.back().number))
        ledger.push_back(update);
    }
    for (const auto& closing : batch.closings)
      if (durable_updates && (closings.empty() || closing.version > closings.back().version))
        closings.push_back(closing);
    updates.insert(updates.end(), batch.refused.begin(), batch.refused.end());
    return {};
  }

  bool keeps_updates() const override { return durable_updates; }

  Result<void> read_ledger(Version after, const LedgerReader& reader) override {
    const auto lock = std::lock_guard(mutex_);
    for (const auto& update : ledger) {
      if (update.record.folded_into <= after) continue;
      if (auto ok = reader.on_update(update); !ok) return ok;
      for (const auto& closing : closings)
        if (closing.last_number == update.number)
          if (auto ok = reader.on_closing(closing); !ok) return ok;
    }
    return {};
  }

  Result<std::vector<UpdateRecord>> newest_accepted() override {
    const auto lock = std::lock_guard(mutex_);
    auto newest = std::map<ClientId, UpdateRecord>();
    auto works = std::map<ClientId, UpdateRecord>();
    for (const auto& update : ledger) {
      newest[update.record.client] = update.record;
      works[update.record.owner] = update.record;
    }
    auto records = std::vector<UpdateRecord>();
    for (const auto& update : ledger)
      if (newest[update.record.client].task == update.record.task ||
          works[update.record.owner].task == update.record.task)
        records.push_back(update.record);
    return records;
  }

  Result<void> save_lease(const Task& task) override {
    const auto lock = std::lock_guard(mutex_);
    leases[task.client] = task;
    return {};
  }

  Result<std::vector<Task>> open_leases() override {
    const auto lock = std::lock_guard(mutex_);
    auto open = std::vector<Task>();
    for (const auto& [client, task] : leases) open.push_back(task);
    return open;
  }

  Result<void> save_version(const VersionRecord& version) override {
    const auto lock = std::lock_guard(mutex_);
    if (!versions.empty() && versions.back().version >= version.version)
      return fail(ec::internal, "versions must rise: " + std::to_string(version.version));
    versions.push_back(version);
    return {};
  }

  Result<void> complete_version(Version version, const std::optional<Evaluation>& evaluation) override {
    const auto lock = std::lock_guard(mutex_);
    if (!lines.empty() && lines.back().version >= version)
      return fail(ec::internal, "lines must rise: " + std::to_string(version));
    lines.push_back({version, evaluation});
    for (auto& record : versions) {
      if (record.version != version || !evaluation) continue;
      record.eval_loss = evaluation->loss;
      record.eval_accuracy = evaluation->accuracy;
    }
    return {};
  }

  Result<RunTotals> roll_back(Version version) override {
    const auto lock = std::lock_guard(mutex_);
    roll_backs.push_back(version);
    std::erase_if(versions, [&](const auto& record) { return record.version > version; });
    if (!durable_updates)
      std::erase_if(updates, [&](const auto& update) { return update.folded_into > version; });
    lines.clear();
    for (const auto& record : versions) {
      auto evaluation = std::optional<Evaluation>();
      if (record.eval_accuracy)
        evaluation = Evaluation{record.version, 1, *record.eval_loss, *record.eval_accuracy};
      lines.push_back({record.version, evaluation});
    }
    return versions.empty() ? RunTotals() : versions.back().totals;
  }

  std::optional<double> best_accuracy() override {
    const auto lock = std::lock_guard(mutex_);
    auto best = std::optional<double>();
    for (const auto& record : versions)
      if (record.eval_accuracy) best = std::max(best.value_or(0), *record.eval_accuracy);
    return best;
  }

  Result<Epoch> next_epoch() override { return ++epoch; }

  std::string transfer_folder() const override { return {}; }

  /// Numbers of the versions that have a line, in the order of the lines.
  std::vector<Version> line_versions() const {
    auto numbers = std::vector<Version>();
    for (const auto& line : lines) numbers.push_back(line.version);
    return numbers;
  }

 private:
  std::mutex mutex_;
};

}  // namespace fl::test
