#include "actors/metrics.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "actors/crash_report.hpp"

namespace fl {

namespace {

/// Over which the rate of updates is shown.
constexpr auto kRateWindow = Seconds(10);

/// Above every version: nothing is forgotten.
constexpr auto kNewest = static_cast<Version>(std::numeric_limits<std::int64_t>::max());

bool succeeded(const Result<void>& result) {
  if (!result) spdlog::error("the run store: {}", to_string(result.error()));
  return result.has_value();
}

}  // namespace

double MetricsState::elapsed_s() const {
  if (stopped_at_s) return *stopped_at_s;
  return seconds_before + (begun ? Seconds(now() - *begun).count() : 0);
}

/// The same on the wall's clock.
double MetricsState::wall_s() const {
  if (!options.virtual_time) return elapsed_s();
  if (stopped_at_s) return stopped_at_wall_s;
  return wall_before + (begun ? Seconds(std::chrono::steady_clock::now() - begun_wall).count() : 0);
}

void MetricsState::bring_up_to_date(RunTotals& counts) const {
  counts.bytes_up = options.board->up();
  counts.bytes_down = options.board->down();
  counts.wall_seconds = wall_s();
  if (options.virtual_time) counts.virtual_seconds = elapsed_s();
}

void MetricsState::stop_clock() {
  if (stopped_at_s) return;
  stopped_at_wall_s = wall_s();
  stopped_at_s = elapsed_s();
}

void MetricsState::restore(Version version) {
  auto restored = storage->roll_back(version);
  if (!restored) {
    spdlog::error("the run store: {}", to_string(restored.error()));
    return;
  }
  // Restarts happened, time passed and bytes were sent, even where the model went back.
  *options.restarts = std::max(*options.restarts, restored->restarts);
  if (!begun) {
    wall_before = restored->wall_seconds;
    seconds_before = options.virtual_time ? restored->virtual_seconds : wall_before;
  }
  totals = std::move(*restored);
  totals.restarts = *options.restarts;
  options.board->begin_at(totals.bytes_up, totals.bytes_down);
  pending.clear();
  unsaved.clear();
  early.clear();
  newest = {};
  if (evaluation && evaluation->version > version) evaluation.reset();
  best_accuracy = storage->best_accuracy().value_or(-1);
  updates_at_begin = totals.updates_accepted;
}

void MetricsState::on_update(const UpdateRecord& update) {
  if (update.decision == ec::store_full) {
    if (!no_room) spdlog::warn("no room for updates: clients keep theirs and try again");
    no_room = true;
    return;
  }
  if (update.decision != ec::none) {
    ++totals.updates_rejected[std::string(name_of(update.decision))];
    return;
  }
  if (std::exchange(no_room, false)) spdlog::info("there is room for updates again");
  ++totals.updates_accepted;
  totals.staleness_sum += static_cast<double>(update.staleness);
  totals.staleness_max = std::max(totals.staleness_max, update.staleness);
  recent_updates.push_back(now());
  while (now() - recent_updates.front() > kRateWindow) recent_updates.pop_front();
}

void MetricsState::on_version(VersionRecord version) {
  chaos->strike_at("metrics", "version", version.version);
  totals.updates_accepted = version.totals.updates_accepted;
  bring_up_to_date(totals);
  version.totals = totals;
  version.time_s = wall_s();
  if (options.virtual_time) version.virtual_s = elapsed_s();
  newest = version;
  unsaved.push_back(version);
  save_versions();
  auto entry = Pending{version.version, false, std::nullopt};
  if (const auto found = early.find(version.version); found != early.end()) {
    entry.resolved = true;
    entry.evaluation = found->second;
    early.erase(found);
  }
  pending.push_back(entry);
  write_lines();
}

void MetricsState::on_evaluation(const Evaluation& measured) {
  if (!evaluation || measured.version >= evaluation->version) evaluation = measured;
  best_accuracy = std::max(best_accuracy, measured.accuracy);
  const auto found = std::find_if(pending.begin(), pending.end(),
                                  [&](const auto& entry) { return entry.version == measured.version; });
  if (found != pending.end()) {
    found->resolved = true;
    found->evaluation = measured;
    write_lines();
  } else if (measured.version > newest.version) {
    early[measured.version] = measured;
  }
}

void MetricsState::on_skip(Version first, Version last) {
  for (auto& entry : pending)
    if (first <= entry.version && entry.version <= last) entry.resolved = true;
  write_lines();
}

/// In rising order: what finds no room is tried again with the next.
void MetricsState::save_versions() {
  while (!unsaved.empty() && succeeded(storage->save_version(unsaved.front()))) unsaved.pop_front();
}

void MetricsState::write_lines() {
  // The newest version may yet be evaluated as the last one, although it was not due.
  const auto complete = [this](const Pending& entry) {
    const auto saved = unsaved.empty() || entry.version < unsaved.front().version;
    return saved && entry.resolved && (entry.evaluation || pending.size() > 1 || stopped);
  };
  while (!pending.empty() && complete(pending.front()) &&
         succeeded(storage->complete_version(pending.front().version, pending.front().evaluation)))
    pending.pop_front();
}

/// To the nearest goal, at the mean speed of this life.
double MetricsState::remaining_s() const {
  if (!begun || stopped_at_s) return -1;
  const auto passed = Seconds(now() - *begun).count();
  auto nearest = -1.0;
  const auto consider = [&](double done, double goal, double done_before) {
    if (goal <= 0 || done <= done_before) return;
    const auto left = std::max(0.0, (goal - done) * passed / (done - done_before));
    if (nearest < 0 || left < nearest) nearest = left;
  };
  const auto& goals = options.goals;
  consider(static_cast<double>(newest.version), static_cast<double>(goals.max_versions),
           static_cast<double>(version_at_begin));
  consider(static_cast<double>(totals.updates_accepted), static_cast<double>(goals.max_updates),
           static_cast<double>(updates_at_begin));
  if (goals.max_seconds.count() > 0) consider(elapsed_s(), goals.max_seconds.count(), seconds_before);
  return nearest;
}

RunStatus MetricsState::status() const {
  auto status = RunStatus();
  status.state = no_room && !stopped_at_s ? "no room for updates" : phase;
  if (!has_model)
    status.not_ready = "the model is being loaded";
  else if (stopped_at_s)
    status.not_ready = "the run is being ended";
  else if (no_room)
    status.not_ready = "there is no room for updates (disk full, or store.max_bytes)";
  status.strategy = options.strategy;
  status.version = newest.version;
  status.max_versions = options.goals.max_versions;
  status.updates_accepted = totals.updates_accepted;
  status.max_updates = options.goals.max_updates;
  for (const auto& [reason, count] : totals.updates_rejected) status.updates_rejected += count;
  if (!recent_updates.empty() && begun) {
    const auto window = std::min(kRateWindow, Seconds(now() - *begun));
    const auto recent = std::count_if(recent_updates.begin(), recent_updates.end(),
                                      [&](const auto& time) { return now() - time <= kRateWindow; });
    if (window.count() > 0) status.updates_per_s = static_cast<double>(recent) / window.count();
  }
  status.staleness_mean = newest.staleness_mean;
  if (evaluation) {
    status.accuracy = evaluation->accuracy;
    status.loss = evaluation->loss;
  }
  status.best_accuracy = best_accuracy;
  status.train_loss = newest.train_loss;
  const auto roster = options.board->roster(now());
  status.clients_training = roster.training;
  status.clients_waiting = roster.waiting;
  status.clients_lost = roster.lost;
  if (const auto names = storage->quarantined())
    status.clients_quarantined = static_cast<std::uint32_t>(names->size());
  status.elapsed_s = elapsed_s();
  status.remaining_s = remaining_s();
  status.waited_for = roster.waited_for;
  // Who was sent away does not come back by itself.
  const auto nobody_here = status.clients_training + status.clients_waiting == 0;
  if (status.clients_quarantined > 0 && nobody_here && !status.waited_for.empty())
    status.waited_for += "; " + std::to_string(status.clients_quarantined) +
                         " quarantined (fl_actor_node pardon lets one in again)";
  status.waited_s = roster.waited_s;
  status.bytes_up = options.board->up();
  status.bytes_down = options.board->down();
  status.restarts = totals.restarts;
  return status;
}

VersionRecord MetricsState::last_record() {
  stop_clock();
  stopped = true;
  for (auto& entry : pending) entry.resolved = true;
  save_versions();
  write_lines();
  bring_up_to_date(totals);
  auto record = newest;
  record.totals = totals;
  if (evaluation && evaluation->version == newest.version) {
    record.eval_loss = evaluation->loss;
    record.eval_accuracy = evaluation->accuracy;
    record.eval_metrics = evaluation->metrics;
  }
  return record;
}

metrics_actor::behavior_type metrics(metrics_actor::stateful_pointer<MetricsState> self,
                                     MetricsOptions options, RunStoragePtr storage, ChaosPtr chaos) {
  self->state.options = std::move(options);
  self->state.storage = std::move(storage);
  self->state.chaos = std::move(chaos);
  end_with_reason_on_exception(self);
  self->state.restore(kNewest);
  return {
      [self](const UpdateRecordsPtr& updates) {
        for (const auto& update : *updates) self->state.on_update(update);
      },
      [self](const VersionRecordPtr& version) {
        self->state.on_version(*version);
        return version->version;
      },
      [self](const Evaluation& evaluation) { self->state.on_evaluation(evaluation); },
      [self](skip_atom, Version first, Version last) { self->state.on_skip(first, last); },
      [self](restore_atom, Version version, bool went_back) {
        if (went_back) self->state.restore(version);
        self->state.has_model = true;
        self->state.newest.version = version;
        self->state.version_at_begin = version;
      },
      [self](restart_atom, const std::string&) {
        self->state.totals.restarts = ++*self->state.options.restarts;
      },
      [self](begin_atom) {
        if (!self->state.begun) {
          self->state.begun = self->state.now();
          self->state.begun_wall = std::chrono::steady_clock::now();
        }
        self->state.phase = "training";
      },
      [self](status_atom, const std::string& phase) {
        auto& state = self->state;
        state.phase = phase;
        state.stop_clock();
      },
      [self](status_atom) { return self->state.status(); },
      [self](stop_atom) { return std::make_shared<const VersionRecord>(self->state.last_record()); },
      [](wire_atom, const PeersPtr&) {},
  };
}

}  // namespace fl
