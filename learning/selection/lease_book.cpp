#include "learning/selection/lease_book.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>
#include <utility>

#include "learning/compression/codec.hpp"
#include "learning/data/balance.hpp"
#include "learning/random.hpp"

namespace fl {

namespace {

using TimePoint = LeaseBook::TimePoint;

/// After a restart of the server clients come back within this: they wait longer between attempts the longer
/// it was away.
constexpr auto kReturn = Seconds(60);

/// Answered tasks that say what is usual.
constexpr std::size_t kDurations = 32;

/// A lease lasts so many times as long as training may take that stops at a deadline.
constexpr double kUploadTime = 2;

/// What the newest version counts in the mean time between two.
constexpr double kNewestVersion = 0.1;

TimePoint after(TimePoint now, Seconds seconds) {
  return now + std::chrono::duration_cast<TimePoint::duration>(seconds);
}

}  // namespace

LeaseBook::LeaseBook(SchedulerOptions options, Epoch epoch, MeasuresTable measures)
    : options_(std::move(options)), epoch_(epoch), measures_(std::move(measures)) {
  if (options_.min_clients == 0) options_.min_clients = options_.synchronous ? options_.clients_count : 1;
  auto policy = make_selection_policy(options_.policy, options_.seed);
  if (!policy) throw std::invalid_argument(policy.error().text);
  policy_ = std::move(*policy);
  for (const auto& one : measures_) answered_ += one.answered;
}

// -- Members ------------------------------------------------------------------------------------------------

LeaseBook::Member& LeaseBook::member_of(ClientId client) {
  if (client >= members_.size()) members_.resize(client + std::size_t{1});
  auto& member = members_[client];
  if (!member.known) {
    member.known = true;
    count(member, 1);
  }
  return member;
}

LeaseBook::Member* LeaseBook::find(ClientId client) {
  return client < members_.size() && members_[client].known ? &members_[client] : nullptr;
}

void LeaseBook::count(const Member& member, int sign) {
  const auto add = [sign](std::size_t& number, bool counts) {
    if (counts) number += static_cast<std::size_t>(sign);
  };
  add(counts_.live, member.live());
  add(counts_.connected, member.connected);
  add(counts_.waiting, member.connected && !member.leased);
  add(counts_.lost, !member.connected && !member.leased);
}

/// The only way in which what is counted changes.
template <class Change>
void LeaseBook::change(ClientId client, Change how) {
  auto& member = member_of(client);
  count(member, -1);
  how(member);
  count(member, 1);
}

void LeaseBook::set_rejoin(ClientId client, std::optional<TimePoint> until) {
  change(client, [&](Member& member) {
    if (member.rejoin_until) rejoins_.erase({*member.rejoin_until, client});
    member.rejoin_until = until;
    if (until) rejoins_.emplace(*until, client);
  });
}

void LeaseBook::declare(ClientId client, const Ready& ready) {
  auto& member = member_of(client);
  member.validates = ready.validation_samples > 0;
  member.fingerprint = ready.data_fingerprint;
  member.samples = epoch_samples(options_.training.balance, ready.samples, ready.label_histogram);
}

ClientMeasures& LeaseBook::measures_of(ClientId client) {
  if (client >= measures_.size()) measures_.resize(client + std::size_t{1});
  return measures_[client];
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
  set_rejoin(task.client, after(now, std::max(options_.rejoin, kReturn)));
  open(task.client, std::make_shared<const Lease>(std::move(lease)), now);
}

void LeaseBook::join(ClientId client, std::shared_ptr<const Lease> lease, TimePoint now,
                     const Ready* standing) {
  if (standing != nullptr) declare(client, *standing);
  set_rejoin(client, std::nullopt);
  change(client, [&](Member& member) {
    member.connected = true;
    member.standing = standing != nullptr;
    member.asked = false;
  });
  if (lease && lease_of(client) == nullptr) {
    const auto& task = lease->assignment.task;
    next_task_ = std::max(next_task_, task.id + 1);
    // A cohort is opened anew by a new book, so only leases of asynchronous strategies live on.
    if (options_.synchronous)
      effects_.voided.push_back({client, task.id, "the server's scheduler was restarted", false, task.work});
    else
      open(client, std::move(lease), now);
  }
  if (standing != nullptr && lease_of(client) == nullptr) ask(client);
  note_live();
  try_open_cohort(now);
  offer_places(now);
}

void LeaseBook::leave(ClientId client, TimePoint now) {
  const auto* member = find(client);
  if (member == nullptr || !member->connected) return;
  withdraw(client);
  change(client, [](Member& left) { left.connected = false; });
  set_rejoin(client, after(now, options_.rejoin));
  offer_places(now);
}

void LeaseBook::dismiss(ClientId client, const std::string& reason, TimePoint now) {
  if (find(client) == nullptr) return;
  if (lease_of(client) != nullptr) void_lease(client, reason);
  withdraw(client);
  set_rejoin(client, std::nullopt);
  count(members_[client], -1);
  members_[client] = {};
  note_live();
  try_open_cohort(now);
  offer_places(now);
}

/// It waits, and would take work.
void LeaseBook::ask(ClientId client) {
  auto& member = member_of(client);
  member.asked = true;
  if (member.connected && !options_.synchronous) candidates_.add(client);
}

/// It does not wait any more.
void LeaseBook::withdraw(ClientId client) {
  member_of(client).asked = false;
  candidates_.remove(client);
  too_late_.erase(client);
  if (const auto place = places_.extract(client)) place_ends_.erase({place.mapped(), client});
}

std::shared_ptr<const Lease> LeaseBook::wait(const std::string& reason) const {
  auto lease = Lease();
  lease.assignment.kind = Assignment::Kind::wait;
  lease.assignment.reason = reason;
  lease.assignment.retry_after_ms = static_cast<std::uint32_t>(options_.retry.count() * 1000);
  return std::make_shared<const Lease>(std::move(lease));
}

// -- Leases -------------------------------------------------------------------------------------------------

std::shared_ptr<const Lease> LeaseBook::lease(ClientId client, const Ready& ready, TimePoint now) {
  declare(client, ready);
  if (auto* const open = lease_of(client)) {
    auto& lease = open->lease;
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
  auto& member = member_of(client);
  if (finished_) {
    if (evaluate_last_ && !member.evaluated_last && member.validates) {
      member.evaluated_last = true;
      give(client, TaskKind::evaluate, now);
      return lease_of(client)->lease;
    }
    auto lease = Lease();
    lease.assignment.kind = Assignment::Kind::finished;
    lease.assignment.reason = *finished_;
    return std::make_shared<const Lease>(std::move(lease));
  }
  if (const auto* original = work_to_share(member, now)) {
    give_copy(client, *original, now);
    return lease_of(client)->lease;
  }
  const auto has_place = places_.contains(client);
  withdraw(client);
  if (takes_work() && free_places() > places_.size() && (has_place || may_choose(client))) {
    give(client, TaskKind::train, now);
    return lease_of(client)->lease;
  }
  if (!too_late_.contains(client)) ask(client);
  offer_places(now);
  return wait(too_late_.contains(client) ? "faster clients (its answer would exceed strategy.max_staleness)"
                                         : why_wait());
}

/// Whether there is work for who asks.
bool LeaseBook::takes_work() const {
  return !options_.synchronous && model_ && started() && !finished_;
}

/// Whether this client, who asks, is the one to get a free place.
bool LeaseBook::may_choose(ClientId client) {
  if (would_be_too_late(client)) {
    too_late_.insert(client);
    return false;
  }
  candidates_.add(client);
  return policy_->choose(candidates_, facts()) == client;
}

LeaseBook::OpenLease* LeaseBook::lease_of(ClientId client) {
  const auto found = leases_.find(client);
  return found == leases_.end() ? nullptr : &found->second;
}

LeaseBook::OpenLease* LeaseBook::holder(ClientId client, TaskId task) {
  auto* const open = lease_of(client);
  return open != nullptr && open->lease->assignment.task.id == task ? open : nullptr;
}

/// The client has it no more.
void LeaseBook::take_lease(ClientId client) {
  const auto ended = leases_.extract(client);
  by_age_.erase(ended.mapped().number);
  if (ended.mapped().deadline) deadlines_.erase({*ended.mapped().deadline, client});
  change(client, [](Member& member) { member.leased = false; });
  const auto& member = members_[client];
  if (member.standing && member.connected) ask(client);
}

void LeaseBook::fetched(ClientId client, TaskId task) {
  if (auto* const open = holder(client, task))
    open->lease = std::make_shared<const Lease>(Lease{open->lease->assignment, nullptr});
}

void LeaseBook::settle(ClientId client, TaskId task, TimePoint now, const std::optional<TaskAnswer>& answer) {
  const auto* const open = holder(client, task);
  if (open == nullptr) return;
  const auto took = Seconds(now - open->since);
  durations_.push_back(took);
  if (durations_.size() > kDurations) durations_.pop_front();
  const auto& settled = open->lease->assignment.task;
  if (answer && settled.kind == TaskKind::train) {
    const auto batch = std::min<std::uint64_t>(settled.training.batch_size,
                                               std::max<std::uint64_t>(1, members_[client].samples));
    measures_of(client).note_answer(*answer, took.count(), static_cast<double>(answer->steps * batch));
    ++answered_;
    if (wanted_ && *wanted_ > 0) --*wanted_;
  }
  const auto work = settled.work;
  take_lease(client);
  if (shares_work()) supersede(work);
  offer_places(now);
}

void LeaseBook::lose(ClientId client, TaskId task, const std::string& reason, TimePoint now) {
  if (holder(client, task) == nullptr) return;
  measures_of(client).note_loss();
  void_lease(client, reason);
  offer_places(now);
}

void LeaseBook::want(std::uint64_t updates, TimePoint now) {
  wanted_ = updates;
  offer_places(now);
}

void LeaseBook::publish(PublishedModelPtr model, TaskId next_task, bool anew, Epoch new_epoch,
                        TimePoint now) {
  if (finished_) return;
  if (model_ && model_->version() == model->version() && !anew) return;
  next_task_ = std::max(next_task_, next_task);
  if (anew) {
    epoch_ = new_epoch;
    void_leases([&](const Task& task) { return options_.synchronous || task.base > model->version(); },
                "the server went back to version " + std::to_string(model->version()));
  } else {
    if (options_.synchronous)
      supersede([](const Task&) { return true; },
                "enough other clients answered first (schedule.redundancy)");
    if (published_at_) {
      const auto took = Seconds(now - *published_at_).count();
      seconds_a_version_ =
          seconds_a_version_ ? *seconds_a_version_ + kNewestVersion * (took - *seconds_a_version_) : took;
    }
  }
  model_ = std::move(model);
  published_at_ = now;
  if (!opened_at_) {
    opened_at_ = now;
    any_lease_ = !anew;  // a version that is no news: there was a book before this one
  }
  cohort_open_ = false;
  for (const auto client : std::vector<ClientId>(too_late_.begin(), too_late_.end()))
    if (!would_be_too_late(client)) {
      too_late_.erase(client);
      ask(client);
    }
  try_open_cohort(now);
  offer_places(now);
}

std::uint32_t LeaseBook::finish(const std::string& reason, PublishedModelPtr last, TimePoint) {
  finished_ = reason;
  evaluate_last_ = last != nullptr;
  void_leases([](const Task&) { return true; }, "the run is over: " + reason);
  if (last) model_ = std::move(last);
  if (!evaluate_last_) return 0;
  return static_cast<std::uint32_t>(std::ranges::count_if(members_, [](const Member& member) {
    return member.connected && member.validates && !member.evaluated_last;
  }));
}

void LeaseBook::tick(TimePoint now) {
  while (!rejoins_.empty() && rejoins_.begin()->first <= now) {
    const auto client = rejoins_.begin()->second;
    set_rejoin(client, std::nullopt);
    if (lease_of(client) == nullptr) continue;
    measures_of(client).note_loss();
    void_lease(client, "the client vanished and did not come back in time");
  }
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto client = deadlines_.begin()->second;
    measures_of(client).note_loss();
    void_lease(client, "the lease ran out (schedule.task_timeout_s, schedule.deadline_factor)");
  }
  // Who was told of work and did not come asks again by itself.
  while (!place_ends_.empty() && place_ends_.begin()->first <= now) withdraw(place_ends_.begin()->second);
  note_live();
  try_open_cohort(now);
  offer_places(now);
  if (!shares_work()) return;
  for (auto client = ClientId{0}; client < members_.size(); ++client) {
    auto& member = members_[client];
    if (!member.connected || !member.asked || work_to_share(member, now) == nullptr) continue;
    withdraw(client);
    effects_.nudge.push_back(client);
  }
}

std::optional<TimePoint> LeaseBook::next_tick() const {
  auto next = std::optional<TimePoint>();
  const auto consider = [&](const std::optional<TimePoint>& time) {
    if (time && (!next || *time < *next)) next = time;
  };
  for (const auto* times : {&rejoins_, &deadlines_, &place_ends_})
    if (!times->empty()) consider(times->begin()->first);
  if (shares_work())
    for (const auto& member : members_) {
      if (!member.connected || !member.asked) continue;
      for (const auto& [other, open] : leases_)
        if (members_[other].fingerprint == member.fingerprint) consider(share_at(member, open));
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
  roster.training = static_cast<std::uint32_t>(leases_.size());
  roster.waiting = static_cast<std::uint32_t>(counts_.waiting);
  roster.lost = static_cast<std::uint32_t>(counts_.lost);
  if (!by_age_.empty()) {
    const auto oldest = by_age_.begin()->second;
    roster.waited_for = "client " + std::to_string(oldest);
    roster.waited_s = Seconds(now - leases_.at(oldest).since).count();
  } else if (!finished_) {
    roster.waited_for = why_wait();
    if (published_at_) roster.waited_s = Seconds(now - *published_at_).count();
  }
  return roster;
}

Whereabouts LeaseBook::whereabouts(std::size_t most, TimePoint now) const {
  using State = ClientWhereabouts::State;
  auto all = Whereabouts();
  for (auto client = ClientId{0}; client < members_.size() && all.size() < most; ++client) {
    const auto& member = members_[client];
    if (!member.known) continue;
    auto one = ClientWhereabouts{client, member.connected ? State::waiting : State::lost};
    if (const auto open = leases_.find(client); open != leases_.end()) {
      // Gone, but its lease is kept for it: whoever looks wants to know that it is gone.
      if (member.connected) one.state = State::training;
      one.task = open->second.lease->assignment.task.id;
      one.since_s = Seconds(now - open->second.since).count();
    }
    all.push_back(one);
  }
  return all;
}

// -- Places -------------------------------------------------------------------------------------------------

/// Works that are under way; one that two clients do counts once.
std::size_t LeaseBook::open_leases() const {
  if (!shares_work()) return leases_.size();
  auto works = std::set<TaskId>();
  for (const auto& [client, open] : leases_) works.insert(open.lease->assignment.task.work);
  return works.size();
}

/// How many clients train at the same time: the cohort's size, or the limit of concurrent leases.
std::size_t LeaseBook::lease_limit() const {
  const auto share = static_cast<std::size_t>(std::lround(options_.fraction * options_.clients_count));
  auto limit = std::max<std::size_t>(1, share);
  if (options_.max_concurrent > 0) limit = std::min<std::size_t>(limit, options_.max_concurrent);
  return wanted_ ? std::min<std::size_t>(limit, *wanted_) : limit;
}

std::size_t LeaseBook::free_places() const {
  return lease_limit() - std::min(lease_limit(), open_leases());
}

bool LeaseBook::started() const {
  return any_lease_ || live() >= options_.min_clients;
}

std::string LeaseBook::why_wait() const {
  if (!model_) return "the server is starting";
  if (counts_.connected == 0 && counts_.lost > 0)
    return "clients (none is connected, " + std::to_string(counts_.lost) + " lost)";
  if (!started() || live() == 0)
    return "clients (" + std::to_string(live()) + " of " + std::to_string(options_.min_clients) +
           " are here)";
  if (wanted_ && *wanted_ == 0) return "the end of the run";
  if (options_.synchronous) return "the next version";
  if (wanted_ && open_leases() >= *wanted_) return "the run's last updates (run.max_updates)";
  if (options_.max_concurrent > 0) return "a free place (schedule.max_concurrent)";
  return "a free place (clients.fraction)";
}

SelectionFacts LeaseBook::facts() const {
  return {measures_, model_ ? model_->version() : 0, counts_.live, answered_};
}

/// By when others will have made too many versions. Somebody has to work, though.
bool LeaseBook::would_be_too_late(ClientId client) const {
  if (options_.max_staleness == 0 || !seconds_a_version_ || leases_.empty() || client >= measures_.size())
    return false;
  const auto& one = measures_[client];
  return one.known() &&
         one.duration_s > *seconds_a_version_ * static_cast<double>(options_.max_staleness + 1);
}

/// Those who wait are told that there is work, as many as there are places. (Synchronous ones are told when a
/// cohort is opened.)
void LeaseBook::offer_places(TimePoint now) {
  if (!takes_work()) return;
  if (leases_.empty() && candidates_.empty())
    for (const auto client : std::exchange(too_late_, {})) ask(client);
  for (auto free = free_places(); !candidates_.empty() && free > places_.size();) {
    const auto chosen = policy_->choose(candidates_, facts());
    if (!chosen) return;
    withdraw(*chosen);
    if (would_be_too_late(*chosen)) {
      too_late_.insert(*chosen);
      continue;
    }
    const auto until = after(now, options_.retry);
    places_.emplace(*chosen, until);
    place_ends_.emplace(until, *chosen);
    effects_.nudge.push_back(*chosen);
  }
}

void LeaseBook::give(ClientId client, TaskKind kind, TimePoint now) {
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
  if (kind == TaskKind::train) plan(task);
  open(client, std::make_shared<const Lease>(std::move(lease)), now);
  if (kind == TaskKind::train) {
    measures_of(client).last_version = task_of(client).base;
    effects_.given.push_back(leases_.at(client).lease);
    if (!options_.synchronous && has_replica(client)) lease_of(client)->base = model_;
  }
  if (!any_lease_) effects_.first_lease = true;
  any_lease_ = true;
}

const Task& LeaseBook::task_of(ClientId client) const {
  return leases_.at(client).lease->assignment.task;
}

/// As much work as suits the client, by when.
void LeaseBook::plan(Task& task) {
  const auto& work = options_.work;
  if (!work.adaptive && work.deadline_factor == 0) return;
  if (answered_ >= median_due_) {
    median_s_ = median_task_s(measures_, options_.training, [this](ClientId client) {
      return client < members_.size() ? members_[client].samples : 0;
    });
    median_due_ = answered_ + 1 + measures_.size() / 10;
  }
  const auto planned =
      plan_work(work, options_.training, members_[task.client].samples, measures_of(task.client), median_s_);
  if (planned.steps > 0) task.training.steps = planned.steps;
  if (!planned.deadline) return;
  if (work.accept_partial) task.stop_after_seconds = planned.deadline->count();
  // Who stops in time has some more for the upload.
  const auto deadline = planned.deadline->count() * (work.accept_partial ? kUploadTime : 1);
  const auto timeout = options_.task_timeout.count();
  task.deadline_seconds = timeout > 0 ? std::min(timeout, deadline) : deadline;
}

UploadSettings LeaseBook::upload_from(Version base) const {
  auto upload = options_.upload;
  if (options_.warmup_versions > 0)
    upload.codec = to_string(codec_at(parse_codec(upload.codec).value(), options_.warmup_versions, base));
  return upload;
}

void LeaseBook::open(ClientId client, std::shared_ptr<const Lease> lease, TimePoint now) {
  withdraw(client);
  const auto deadline_s = lease->assignment.task.deadline_seconds;
  auto opened = OpenLease{std::move(lease), now, std::nullopt};
  opened.number = ++leases_given_;
  if (deadline_s > 0) {
    opened.deadline = after(now, Seconds(deadline_s));
    deadlines_.emplace(*opened.deadline, client);
  }
  by_age_.emplace(opened.number, client);
  change(client, [](Member& member) { member.leased = true; });
  leases_.insert_or_assign(client, std::move(opened));
}

void LeaseBook::void_lease(ClientId client, const std::string& reason, bool superseded) {
  const auto task = task_of(client);
  const auto last_holder =
      !superseded && options_.synchronous && (!shares_work() || holders_of(task.work) == 1);
  effects_.voided.push_back({client, task.id, reason, last_holder, task.work, superseded});
  take_lease(client);
}

void LeaseBook::void_leases(const std::function<bool(const Task&)>& which, const std::string& reason,
                            bool superseded) {
  auto ended = std::vector<ClientId>();
  for (const auto& [client, open] : leases_)
    if (which(open.lease->assignment.task)) ended.push_back(client);
  for (const auto client : ended) void_lease(client, reason, superseded);
}

void LeaseBook::try_open_cohort(TimePoint now) {
  if (!options_.synchronous || !model_ || cohort_open_ || finished_ || live() == 0) return;
  // The run's first cohort waits for all. A later one goes on without those who are gone: who vanished has
  // had its `rejoin`, and in a new book everyone has as long to say that he is still here.
  const auto patient = !any_lease_ || now < after(*opened_at_, options_.rejoin);
  if (live() < options_.min_clients && patient) return;

  auto chosen = std::vector<ClientId>();
  for (auto client = ClientId{0}; client < members_.size(); ++client)
    if (members_[client].live()) chosen.push_back(client);
  const auto wanted = lease_limit();
  // The small difference keeps 1.1 × 10 from being 12.
  const auto asked =
      static_cast<std::size_t>(std::ceil(options_.redundancy * static_cast<double>(wanted) - 1e-9));
  if (chosen.size() > asked) chosen = policy_->cohort(std::move(chosen), asked, facts());

  auto cohort = Cohort();
  cohort.version = model_->version();
  if (chosen.size() > wanted) cohort.wanted = wanted;
  for (const auto client : chosen) {
    give(client, TaskKind::train, now);
    cohort.tasks.push_back(task_of(client).id);
    effects_.nudge.push_back(client);
  }
  cohort_open_ = true;
  effects_.cohort = std::make_shared<const Cohort>(std::move(cohort));
}

void LeaseBook::note_live() {
  if (std::exchange(reported_live_, live()) != live()) effects_.live = live();
}

}  // namespace fl
