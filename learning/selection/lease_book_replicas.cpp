// The lease book's replicas: clients that hold the same data and can do each other's work.
#include <algorithm>
#include <utility>

#include "learning/selection/lease_book.hpp"

namespace fl {

namespace {

/// Answered tasks that are too few to say what is usual.
constexpr std::size_t kFewDurations = 3;

}  // namespace

bool LeaseBook::shares_work() const {
  return options_.backup_tasks > 0 || (!options_.synchronous && options_.redundancy >= 2);
}

bool LeaseBook::has_replica(ClientId client) const {
  const auto& member = members_[client];
  if (!shares_work() || member.fingerprint == 0) return false;
  return std::ranges::any_of(members_, [&](const Member& other) {
    return &other != &member && other.known && other.fingerprint == member.fingerprint;
  });
}

std::size_t LeaseBook::holders_of(TaskId work) const {
  return static_cast<std::size_t>(std::count_if(leases_.begin(), leases_.end(), [&](const auto& entry) {
    return entry.second.lease->assignment.task.work == work;
  }));
}

PublishedModelPtr LeaseBook::base_of(const OpenLease& lease) const {
  if (lease.base) return lease.base;
  if (lease.lease->model) return lease.lease->model;
  return model_ && model_->version() == lease.lease->assignment.task.base ? model_ : nullptr;
}

/// From when on this task may be given to that replica of its holder, too; none: not.
std::optional<LeaseBook::TimePoint> LeaseBook::share_at(const Member& member, const OpenLease& lease) const {
  const auto& task = lease.lease->assignment.task;
  if (finished_ || member.leased || member.fingerprint == 0 || task.kind != TaskKind::train ||
      task.work != task.id || base_of(lease) == nullptr)
    return std::nullopt;
  const auto holders = holders_of(task.work);
  if (!options_.synchronous && holders < static_cast<std::size_t>(options_.redundancy)) return lease.since;
  const auto backups =
      std::count_if(leases_.begin(), leases_.end(), [](const auto& entry) { return entry.second.is_backup; });
  const auto usual = usual_duration();
  if (holders > 1 || std::cmp_greater_equal(backups, options_.backup_tasks) || !usual) return std::nullopt;
  return lease.since + std::chrono::duration_cast<TimePoint::duration>(options_.backup_after * *usual);
}

/// The oldest task that this client could do as well as its holder, and should.
const LeaseBook::OpenLease* LeaseBook::work_to_share(const Member& member, TimePoint now) const {
  if (!shares_work()) return nullptr;
  const OpenLease* oldest = nullptr;
  for (const auto& [other, open] : leases_) {
    if (members_[other].fingerprint != member.fingerprint) continue;
    const auto at = share_at(member, open);
    if (at && *at <= now && (oldest == nullptr || open.since < oldest->since)) oldest = &open;
  }
  return oldest;
}

void LeaseBook::give_copy(ClientId client, const OpenLease& original, TimePoint now) {
  auto lease = Lease{original.lease->assignment, base_of(original)};
  auto& task = lease.assignment.task;
  const auto is_backup =
      options_.synchronous || holders_of(task.work) >= static_cast<std::size_t>(options_.redundancy);
  task.id = next_task_++;
  task.epoch = epoch_;
  task.client = client;
  task.evaluate_base = false;
  task.model_bytes = lease.model->size();
  open(client, std::make_shared<const Lease>(std::move(lease)), now);
  lease_of(client)->is_backup = is_backup;
}

/// The work was answered: nobody else needs to do it.
void LeaseBook::supersede(TaskId work) {
  supersede([&](const Task& task) { return task.work == work; },
            "a client that holds the same data answered first");
}

void LeaseBook::supersede(const std::function<bool(const Task&)>& which, const std::string& reason) {
  void_leases(which, reason, true);
}

/// The median.
std::optional<Seconds> LeaseBook::usual_duration() const {
  if (durations_.size() < kFewDurations) return std::nullopt;
  auto sorted = std::vector<Seconds>(durations_.begin(), durations_.end());
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

}  // namespace fl
