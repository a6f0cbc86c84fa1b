#include "tests/support/memory_storage.hpp"

#include <algorithm>

namespace fl::test {

Result<ClientId> MemoryStorage::bind_client(const std::string& name, std::uint32_t clients_count,
                                            const std::set<ClientId>& connected) {
  const auto lock = std::lock_guard(mutex_);
  if (const auto known = clients.find(name); known != clients.end()) return known->second;
  for (const auto anyone : {false, true}) {
    for (auto id = ClientId{0}; id < clients_count; ++id) {
      const auto owner =
          std::find_if(clients.begin(), clients.end(), [&](const auto& entry) { return entry.second == id; });
      if (owner != clients.end() && (!anyone || connected.contains(id))) continue;
      if (owner != clients.end()) clients.erase(owner);
      clients[name] = id;
      return id;
    }
  }
  return fail(ec::hello_refused, "all places are taken");
}

Result<void> MemoryStorage::save_client(const ClientRecord& client) {
  const auto lock = std::lock_guard(mutex_);
  client_records.push_back(client);
  return {};
}

Result<std::uint32_t> MemoryStorage::add_strike(const std::string& name, const std::string& reason,
                                                std::uint32_t limit) {
  const auto lock = std::lock_guard(mutex_);
  const auto count = ++strikes[name];
  if (count >= limit) quarantine[name] = reason;
  return count;
}

Result<std::optional<std::string>> MemoryStorage::quarantine_reason(const std::string& name) {
  const auto lock = std::lock_guard(mutex_);
  const auto found = quarantine.find(name);
  return found == quarantine.end() ? std::nullopt : std::optional(found->second);
}

Result<std::vector<std::string>> MemoryStorage::quarantined() {
  const auto lock = std::lock_guard(mutex_);
  auto names = std::vector<std::string>();
  for (const auto& [name, reason] : quarantine) names.push_back(name);
  return names;
}

Result<void> MemoryStorage::save_snapshot(const AggregationState& state, TaskId next_task) {
  const auto lock = std::lock_guard(mutex_);
  if (refusal) return tl::unexpected(*refusal);
  snapshots.push_back({state.clone(), next_task});
  return {};
}

Result<std::optional<StoredSnapshot>> MemoryStorage::load_snapshot(const LayoutPtr&) {
  const auto lock = std::lock_guard(mutex_);
  if (refusal) return tl::unexpected(*refusal);
  if (snapshots.empty()) return std::optional<StoredSnapshot>();
  return StoredSnapshot{snapshots.back().state.clone(), snapshots.back().next_task};
}

Result<void> MemoryStorage::commit(const LedgerBatch& batch) {
  const auto lock = std::lock_guard(mutex_);
  ++commits;
  if (refusal) return tl::unexpected(*refusal);
  for (const auto& update : batch.accepted) {
    updates.push_back(update.record);
    if (durable_updates && (ledger.empty() || update.number > ledger.back().number)) ledger.push_back(update);
  }
  for (const auto& closing : batch.closings)
    if (durable_updates && (closings.empty() || closing.version > closings.back().version))
      closings.push_back(closing);
  updates.insert(updates.end(), batch.refused.begin(), batch.refused.end());
  return {};
}

Result<void> MemoryStorage::read_ledger(Version after, const LedgerReader& reader) {
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

Result<std::vector<UpdateRecord>> MemoryStorage::newest_accepted() {
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

Result<void> MemoryStorage::save_lease(const Task& task) {
  const auto lock = std::lock_guard(mutex_);
  leases[task.client] = task;
  return {};
}

Result<std::vector<Task>> MemoryStorage::open_leases() {
  const auto lock = std::lock_guard(mutex_);
  auto open = std::vector<Task>();
  for (const auto& [client, task] : leases) open.push_back(task);
  return open;
}

Result<void> MemoryStorage::save_version(const VersionRecord& version) {
  const auto lock = std::lock_guard(mutex_);
  if (!versions.empty() && versions.back().version > version.version)
    return fail(ec::internal, "versions must rise: " + std::to_string(version.version));
  const auto same = [&](const auto& record) { return record.version == version.version; };
  std::erase_if(versions, same);
  std::erase_if(lines, same);
  versions.push_back(version);
  return {};
}

Result<void> MemoryStorage::complete_version(Version version, const std::optional<Evaluation>& evaluation) {
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

Result<RunTotals> MemoryStorage::roll_back(Version version) {
  const auto lock = std::lock_guard(mutex_);
  roll_backs.push_back(version);
  std::erase_if(versions, [&](const auto& record) { return record.version > version; });
  for (const auto& closing : closings) {
    if (closing.version > version || (!versions.empty() && closing.version <= versions.back().version))
      continue;
    auto made_again = VersionRecord();
    made_again.version = closing.version;
    made_again.totals = versions.empty() ? RunTotals() : versions.back().totals;
    made_again.totals.updates_accepted = closing.last_number;
    versions.push_back(made_again);
  }
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

std::optional<double> MemoryStorage::best_accuracy() {
  const auto lock = std::lock_guard(mutex_);
  auto best = std::optional<double>();
  for (const auto& record : versions)
    if (record.eval_accuracy) best = std::max(best.value_or(0), *record.eval_accuracy);
  return best;
}

std::vector<Version> MemoryStorage::line_versions() const {
  auto numbers = std::vector<Version>();
  for (const auto& line : lines) numbers.push_back(line.version);
  return numbers;
}

}  // namespace fl::test
