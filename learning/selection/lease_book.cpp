#include "learning/selection/lease_book.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "learning/compression/codec.hpp"
#include "learning/random.hpp"

namespace fl {

namespace {

using TimePoint = LeaseBook::TimePoint;

/// After a restart of the server clients come back within this: they wait longer between attempts the longer
/// it was away.
constexpr auto kReturn = Seconds(60);

/// Answered tasks that say what is usual, and how few are too few to say.
constexpr std::size_t kDurations = 32;
constexpr std::size_t kFewDurations = 3;

TimePoint after(TimePoint now, Seconds seconds) {
  return now + std::chrono::duration_cast<TimePoint::duration>(seconds);
}

}  // namespace

LeaseBook::LeaseBook(SchedulerOptions options, Epoch epoch) : options_(std::move(options)), epoch_(epoch) {
  if (options_.min_clients == 0) options_.min_clients = options_.synchronous ? options_.clients_count : 1;
}

void LeaseBook::hold(const Task& task, TimePoint now) {
  next_task_ = std::max(next_task_, task.id + 1);
  if (options_.synchronous) return;
  auto lease = Lease();
  lease.assignment.kind = Assignment::Kind::task;
  lease.assignment.task = task;
  lease.assignment.task.owner = task.client;
  lease.assignment.task.work = task.id;
  lease.assignment.task.durable = options_.durable_updates;
  lease.assignment.task.training = options_.training;
  lease.assignment.task.upload = upload_from(task.base);
  lease.assignment.task.deadline_seconds = options_.task_timeout.count();
  auto& member = members_[task.client];
  member.rejoin_until = after(now, std::max(options_.rejoin, kReturn));
  member.lease = OpenLease{std::make_shared<const Lease>(std::move(lease)), now, std::nullopt};
  if (options_.task_timeout.count() > 0) member.lease->deadline = after(now, options_.task_timeout);
}

void LeaseBook::join(ClientId client, std::shared_ptr<const Lease> lease, TimePoint now, bool standing) {
  auto& member = members_[client];
  member.connected = true;
  member.standing = standing;
  member.asked = standing && !member.lease;
  member.rejoin_until.reset();
  if (lease && !member.lease) {
    const auto& task = lease->assignment.task;
    next_task_ = std::max(next_task_, task.id + 1);
    // A cohort is opened anew by a new book, so only leases of asynchronous strategies live on.
    if (options_.synchronous) {
      effects_.voided.push_back({client, task.id, "the server's scheduler was restarted", false, task.work});
    } else {
      member.lease = OpenLease{std::move(lease), now, std::nullopt};
      if (options_.task_timeout.count() > 0) member.lease->deadline = after(now, options_.task_timeout);
    }
  }
  note_live();
  try_open_cohort(now);
  nudge_waiting();
}

void LeaseBook::leave(ClientId client, TimePoint now) {
  const auto found = members_.find(client);
  if (found == members_.end() || !found->second.connected) return;
  found->second.connected = false;
  found->second.asked = false;
  found->second.rejoin_until = after(now, options_.rejoin);
}

void LeaseBook::dismiss(ClientId client, const std::string& reason, TimePoint now) {
  const auto found = members_.find(client);
  if (found == members_.end()) return;
  if (found->second.lease) void_lease(found->second, client, reason);
  members_.erase(found);
  note_live();
  try_open_cohort(now);
  nudge_waiting();
}

std::shared_ptr<const Lease> LeaseBook::wait(const std::string& reason) const {
  auto lease = Lease();
  lease.assignment.kind = Assignment::Kind::wait;
  lease.assignment.reason = reason;
  lease.assignment.retry_after_ms = static_cast<std::uint32_t>(options_.retry.count() * 1000);
  return std::make_shared<const Lease>(std::move(lease));
}

std::shared_ptr<const Lease> LeaseBook::lease(ClientId client, const Ready& ready, TimePoint now) {
  auto& member = members_[client];
  member.validates = ready.validation_samples > 0;
  member.fingerprint = ready.data_fingerprint;
  if (member.lease) {
    auto& lease = member.lease->lease;
    const auto is_current = model_ && lease->assignment.task.base == model_->version();
    // One from before a restart knows no size; who has its base needs none, and who asks for it is told that
    // it is gone.
    const auto knows_size = lease->assignment.task.model_bytes > 0;
    if (!lease->model && model_ && (is_current || !knows_size)) {
      auto renewed = Lease{lease->assignment, is_current ? model_ : nullptr};
      renewed.assignment.task.model_bytes = model_->size();
      lease = std::make_shared<const Lease>(std::move(renewed));
    }
    return lease;
  }
  if (finished_) {
    if (evaluate_last_ && !member.evaluated_last && member.validates) {
      member.evaluated_last = true;
      give(member, client, TaskKind::evaluate, now);
      return member.lease->lease;
    }
    auto lease = Lease();
    lease.assignment.kind = Assignment::Kind::finished;
    lease.assignment.reason = *finished_;
    return std::make_shared<const Lease>(std::move(lease));
  }
  if (const auto* original = work_to_share(member, now)) {
    give_copy(member, client, *original, now);
    return member.lease->lease;
  }
  if (model_ && started() && !options_.synchronous && open_leases() < lease_limit()) {
    give(member, client, TaskKind::train, now);
    return member.lease->lease;
  }
  member.asked = true;
  return wait(why_wait());
}

LeaseBook::Member* LeaseBook::holder(ClientId client, TaskId task) {
  const auto found = members_.find(client);
  if (found == members_.end() || !found->second.lease) return nullptr;
  return found->second.lease->lease->assignment.task.id == task ? &found->second : nullptr;
}

/// It has no lease any more.
void LeaseBook::release(Member& member) {
  member.lease.reset();
  member.asked = member.standing && member.connected;
}

void LeaseBook::fetched(ClientId client, TaskId task) {
  if (auto* member = holder(client, task))
    member->lease->lease = std::make_shared<const Lease>(Lease{member->lease->lease->assignment, nullptr});
}

void LeaseBook::settle(ClientId client, TaskId task, TimePoint now) {
  auto* member = holder(client, task);
  if (member == nullptr) return;
  durations_.push_back(now - member->lease->since);
  if (durations_.size() > kDurations) durations_.pop_front();
  const auto work = member->lease->lease->assignment.task.work;
  release(*member);
  if (shares_work()) supersede(work);
  if (member->asked || open_leases() + 1 == lease_limit()) nudge_waiting();
}

void LeaseBook::lose(ClientId client, TaskId task, const std::string& reason, TimePoint) {
  auto* member = holder(client, task);
  if (member == nullptr) return;
  void_lease(*member, client, reason);
  nudge_waiting();
}

void LeaseBook::want(std::uint64_t updates) {
  const auto more = !wanted_ || updates > *wanted_;
  wanted_ = updates;
  if (more) nudge_waiting();
}

void LeaseBook::publish(PublishedModelPtr model, TaskId next_task, bool anew, Epoch new_epoch,
                        TimePoint now) {
  if (finished_) return;
  if (model_ && model_->version() == model->version() && !anew) return;
  next_task_ = std::max(next_task_, next_task);
  if (anew) {
    epoch_ = new_epoch;
    for (auto& [client, member] : members_) {
      if (!member.lease) continue;
      if (options_.synchronous || member.lease->lease->assignment.task.base > model->version())
        void_lease(member, client, "the server went back to version " + std::to_string(model->version()));
    }
  }
  if (options_.synchronous && !anew)
    for (auto& [client, member] : members_)
      if (member.lease) {
        effects_.voided.push_back({client, member.lease->lease->assignment.task.id,
                                   "enough other clients answered first (schedule.redundancy)", false,
                                   member.lease->lease->assignment.task.work, true});
        release(member);
      }
  model_ = std::move(model);
  published_at_ = now;
  if (!opened_at_) {
    opened_at_ = now;
    any_lease_ = !anew;  // a version that is no news: there was a book before this one
  }
  cohort_open_ = false;
  try_open_cohort(now);
  nudge_waiting();
}

std::uint32_t LeaseBook::finish(const std::string& reason, PublishedModelPtr last, TimePoint) {
  finished_ = reason;
  evaluate_last_ = last != nullptr;
  auto answers = std::uint32_t{0};
  for (auto& [client, member] : members_) {
    if (member.lease) void_lease(member, client, "the run is over: " + reason);
    if (member.connected && member.validates && !member.evaluated_last) ++answers;
  }
  if (last) model_ = std::move(last);
  return evaluate_last_ ? answers : 0;
}

void LeaseBook::tick(TimePoint now) {
  for (auto& [client, member] : members_) {
    if (member.rejoin_until && *member.rejoin_until <= now) {
      member.rejoin_until.reset();
      if (member.lease) void_lease(member, client, "the client vanished and did not come back in time");
    }
    if (member.lease && member.lease->deadline && *member.lease->deadline <= now)
      void_lease(member, client, "the lease ran out (schedule.task_timeout_s)");
  }
  note_live();
  try_open_cohort(now);
  nudge_waiting();
  for (auto& [client, member] : members_)
    if (member.connected && member.asked && work_to_share(member, now) != nullptr) {
      member.asked = false;
      effects_.nudge.push_back(client);
    }
}

std::optional<TimePoint> LeaseBook::next_tick() const {
  auto next = std::optional<TimePoint>();
  const auto consider = [&](const std::optional<TimePoint>& time) {
    if (time && (!next || *time < *next)) next = time;
  };
  for (const auto& [client, member] : members_) {
    consider(member.rejoin_until);
    if (member.lease) consider(member.lease->deadline);
    if (!shares_work() || !member.connected || !member.asked) continue;
    for (const auto& [other, holding] : members_)
      if (holding.lease && holding.fingerprint == member.fingerprint)
        consider(share_at(member, *holding.lease));
  }
  if (options_.synchronous && model_ && !cohort_open_ && any_lease_ && live() > 0 && !finished_)
    consider(after(*opened_at_, options_.rejoin));
  return next;
}

LeaseBook::Effects LeaseBook::take_effects() {
  return std::exchange(effects_, {});
}

Roster LeaseBook::roster(TimePoint now) const {
  auto roster = Roster();
  const OpenLease* oldest = nullptr;
  for (const auto& [client, member] : members_) {
    if (member.lease) {
      ++roster.training;
      if (oldest == nullptr || member.lease->since < oldest->since) oldest = &*member.lease;
    } else if (member.connected) {
      ++roster.waiting;
    } else {
      ++roster.lost;
    }
  }
  if (oldest != nullptr) {
    roster.waited_for = "client " + std::to_string(oldest->lease->assignment.task.client);
    roster.waited_s = Seconds(now - oldest->since).count();
  } else if (!finished_) {
    roster.waited_for = why_wait();
    if (published_at_) roster.waited_s = Seconds(now - *published_at_).count();
  }
  return roster;
}

std::uint32_t LeaseBook::live() const {
  return static_cast<std::uint32_t>(std::count_if(members_.begin(), members_.end(), [](const auto& entry) {
    return entry.second.connected || entry.second.rejoin_until.has_value();
  }));
}

/// Works that are under way; one that two clients do counts once.
std::size_t LeaseBook::open_leases() const {
  if (shares_work()) {
    auto works = std::set<TaskId>();
    for (const auto& [client, member] : members_)
      if (member.lease) works.insert(member.lease->lease->assignment.task.work);
    return works.size();
  }
  return static_cast<std::size_t>(std::count_if(
      members_.begin(), members_.end(), [](const auto& entry) { return entry.second.lease.has_value(); }));
}

/// How many clients train at the same time: the cohort's size, or the limit of concurrent leases.
std::size_t LeaseBook::lease_limit() const {
  const auto at_once = static_cast<std::size_t>(std::lround(options_.fraction * options_.clients_count));
  return std::min<std::size_t>(std::max<std::size_t>(1, at_once), wanted_.value_or(at_once + 1));
}

bool LeaseBook::started() const {
  return any_lease_ || live() >= options_.min_clients;
}

std::string LeaseBook::why_wait() const {
  if (!model_) return "the server is starting";
  if (!started() || live() == 0)
    return "clients (" + std::to_string(live()) + " of " + std::to_string(options_.min_clients) +
           " are here)";
  if (options_.synchronous) return "the next version";
  if (wanted_ && open_leases() >= *wanted_) return "the run's last updates (run.max_updates)";
  return "a free place (clients.fraction)";
}

void LeaseBook::give(Member& member, ClientId client, TaskKind kind, TimePoint now) {
  // Works of one owner are answered in their order. One that it lost lives on in copies only until it has new
  // work.
  if (shares_work() && kind == TaskKind::train && !options_.synchronous)
    supersede([&](const Task& task) { return task.owner == client && task.client != client; },
              "the client whose work it was has newer work");
  auto lease = Lease();
  lease.model = model_;
  lease.assignment.kind = Assignment::Kind::task;
  auto& task = lease.assignment.task;
  task.id = next_task_++;
  task.epoch = epoch_;
  task.client = client;
  task.kind = kind;
  task.base = model_->version();
  task.owner = client;
  task.work = task.id;
  // A cohort that is begun anew has new task numbers, but trains with the same streams: the same bits come
  // out.
  task.stream = options_.synchronous ? task.base : task.id;
  task.evaluate_base = kind == TaskKind::evaluate || (options_.evaluate_every > 0 && task.base > 0 &&
                                                      task.base % options_.evaluate_every == 0);
  task.deadline_seconds = options_.task_timeout.count();
  task.model_bytes = model_->size();
  task.durable = options_.durable_updates;
  task.training = options_.training;
  task.upload = upload_from(task.base);
  open(member, std::make_shared<const Lease>(std::move(lease)), now);
  if (kind == TaskKind::train) effects_.given.push_back(member.lease->lease->assignment.task);
  if (kind == TaskKind::train && !options_.synchronous && has_replica(client, member))
    member.lease->base = model_;
  if (!any_lease_) effects_.first_lease = true;
  any_lease_ = true;
}

UploadSettings LeaseBook::upload_from(Version base) const {
  auto upload = options_.upload;
  if (options_.warmup_versions > 0)
    upload.codec = to_string(codec_at(parse_codec(upload.codec).value(), options_.warmup_versions, base));
  return upload;
}

void LeaseBook::open(Member& member, std::shared_ptr<const Lease> lease, TimePoint now) {
  auto opened = OpenLease{std::move(lease), now, std::nullopt};
  if (options_.task_timeout.count() > 0) opened.deadline = after(now, options_.task_timeout);
  member.lease = std::move(opened);
  member.asked = false;
}

// -- Replicas -----------------------------------------------------------------------------------------------

bool LeaseBook::shares_work() const {
  return options_.backup_tasks > 0 || (!options_.synchronous && options_.redundancy >= 2);
}

bool LeaseBook::has_replica(ClientId client, const Member& member) const {
  if (!shares_work() || member.fingerprint == 0) return false;
  return std::any_of(members_.begin(), members_.end(), [&](const auto& entry) {
    return entry.first != client && entry.second.fingerprint == member.fingerprint;
  });
}

std::size_t LeaseBook::holders_of(TaskId work) const {
  return static_cast<std::size_t>(std::count_if(members_.begin(), members_.end(), [&](const auto& entry) {
    return entry.second.lease && entry.second.lease->lease->assignment.task.work == work;
  }));
}

PublishedModelPtr LeaseBook::base_of(const OpenLease& lease) const {
  if (lease.base) return lease.base;
  if (lease.lease->model) return lease.lease->model;
  return model_ && model_->version() == lease.lease->assignment.task.base ? model_ : nullptr;
}

/// From when on this task may be given to that replica of its holder, too; none: not.
std::optional<TimePoint> LeaseBook::share_at(const Member& member, const OpenLease& lease) const {
  const auto& task = lease.lease->assignment.task;
  if (finished_ || member.lease || member.fingerprint == 0 || task.kind != TaskKind::train ||
      task.work != task.id || base_of(lease) == nullptr)
    return std::nullopt;
  const auto holders = holders_of(task.work);
  if (!options_.synchronous && holders < static_cast<std::size_t>(options_.redundancy)) return lease.since;
  const auto backups = std::count_if(members_.begin(), members_.end(), [](const auto& entry) {
    return entry.second.lease && entry.second.lease->is_backup;
  });
  const auto usual = usual_duration();
  if (holders > 1 || std::cmp_greater_equal(backups, options_.backup_tasks) || !usual) return std::nullopt;
  return after(lease.since, options_.backup_after * *usual);
}

/// The oldest task that this client could do as well as its holder, and should.
const LeaseBook::OpenLease* LeaseBook::work_to_share(const Member& member, TimePoint now) const {
  if (!shares_work()) return nullptr;
  const OpenLease* oldest = nullptr;
  for (const auto& [other, holding] : members_) {
    if (!holding.lease || holding.fingerprint != member.fingerprint) continue;
    const auto at = share_at(member, *holding.lease);
    if (at && *at <= now && (oldest == nullptr || holding.lease->since < oldest->since))
      oldest = &*holding.lease;
  }
  return oldest;
}

void LeaseBook::give_copy(Member& member, ClientId client, const OpenLease& original, TimePoint now) {
  auto lease = Lease{original.lease->assignment, base_of(original)};
  auto& task = lease.assignment.task;
  const auto is_backup =
      options_.synchronous || holders_of(task.work) >= static_cast<std::size_t>(options_.redundancy);
  task.id = next_task_++;
  task.epoch = epoch_;
  task.client = client;
  task.evaluate_base = false;
  task.model_bytes = lease.model->size();
  open(member, std::make_shared<const Lease>(std::move(lease)), now);
  member.lease->is_backup = is_backup;
}

/// The work was answered: nobody else needs to do it.
void LeaseBook::supersede(TaskId work) {
  supersede([&](const Task& task) { return task.work == work; },
            "a client that holds the same data answered first");
}

void LeaseBook::supersede(const std::function<bool(const Task&)>& which, const std::string& reason) {
  for (auto& [client, member] : members_) {
    if (!member.lease) continue;
    const auto& task = member.lease->lease->assignment.task;
    if (!which(task)) continue;
    effects_.voided.push_back({client, task.id, reason, false, task.work, true});
    release(member);
  }
}

/// The median.
std::optional<Seconds> LeaseBook::usual_duration() const {
  if (durations_.size() < kFewDurations) return std::nullopt;
  auto sorted = std::vector<Seconds>(durations_.begin(), durations_.end());
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

void LeaseBook::void_lease(Member& member, ClientId client, const std::string& reason) {
  const auto& task = member.lease->lease->assignment.task;
  const auto last_holder = !shares_work() || holders_of(task.work) == 1;
  effects_.voided.push_back({client, task.id, reason, options_.synchronous && last_holder, task.work});
  release(member);
}

void LeaseBook::try_open_cohort(TimePoint now) {
  if (!options_.synchronous || !model_ || cohort_open_ || finished_ || live() == 0) return;
  // The run's first cohort waits for all. A later one goes on without those who are gone: who vanished has
  // had its `rejoin`, and in a new book everyone has as long to say that he is still here.
  const auto patient = !any_lease_ || now < after(*opened_at_, options_.rejoin);
  if (live() < options_.min_clients && patient) return;

  auto chosen = std::vector<ClientId>();
  for (const auto& [client, member] : members_)
    if (member.connected || member.rejoin_until) chosen.push_back(client);
  const auto wanted = lease_limit();
  // The small difference keeps 1.1 × 10 from being 12.
  const auto asked = std::ceil(options_.redundancy * static_cast<double>(wanted) - 1e-9);
  auto random = RandomStream(stream_seed(options_.seed, "cohort", model_->version()));
  while (static_cast<double>(chosen.size()) > asked)
    chosen.erase(chosen.begin() + static_cast<long>(random.below(chosen.size())));

  auto cohort = Cohort();
  cohort.version = model_->version();
  if (chosen.size() > wanted) cohort.wanted = wanted;
  for (const auto client : chosen) {
    give(members_[client], client, TaskKind::train, now);
    cohort.tasks.push_back(members_[client].lease->lease->assignment.task.id);
    effects_.nudge.push_back(client);
  }
  cohort_open_ = true;
  effects_.cohort = std::make_shared<const Cohort>(std::move(cohort));
}

/// Those who were told to wait may ask again: there is work. (Synchronous ones are told when a cohort is
/// opened.)
void LeaseBook::nudge_waiting() {
  if (options_.synchronous || !model_ || !started() || open_leases() >= lease_limit()) return;
  for (auto& [client, member] : members_)
    if (member.connected && std::exchange(member.asked, false)) effects_.nudge.push_back(client);
}

void LeaseBook::note_live() {
  if (std::exchange(reported_live_, live()) != live()) effects_.live = live();
}

}  // namespace fl
