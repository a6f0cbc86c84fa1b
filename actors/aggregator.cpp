#include "actors/aggregator.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "actors/crash_report.hpp"

namespace fl {

namespace {

UpdateFacts facts_of(const UpdateInfo& info) {
  return {info.client, info.base, info.samples};
}

UpdateRecord record_of(const ValidUpdate& update) {
  auto record = UpdateRecord();
  record.task = update.info.task;
  record.epoch = update.info.epoch;
  record.client = update.info.client;
  record.base = update.info.base;
  record.samples = update.info.samples;
  record.train_loss = update.info.train_loss;
  record.train_seconds = update.info.train_seconds;
  record.norm = update.norm;
  record.bytes = update.encoded_bytes;
  return record;
}

}  // namespace

// -- starting
// ---------------------------------------------------------------------------------------------------------

void AggregatorState::on_wire(const PeersPtr& handles) {
  const auto first = peers == nullptr;
  const auto same_checkpointer = !first && peers->checkpointer == handles->checkpointer;
  const auto same_metrics = !first && peers->metrics == handles->metrics;
  peers = handles;
  if (first) {
    restore();
    return;
  }
  if (!aggregation) {
    if (!same_checkpointer) restore();
    return;
  }
  if (!same_metrics) {
    self->send(peers->metrics, restore_atom_v, aggregation->version() - unrecorded.size(), false);
    self->send(peers->metrics, begin_atom_v);
    for (const auto& version : unrecorded) record(version);
  }
  // Whoever was restarted has forgotten the current version; for the others this is no news.
  tell_wanted();
  self->send(peers->scheduler, publish_atom_v, publication(false));
  self->send(peers->evaluator, publish_atom_v, publication(false));
  if (!same_checkpointer && saving) {
    saving = nullptr;
    snapshot_due = true;
    save();
  }
}

void AggregatorState::restore() {
  self->request(peers->checkpointer, caf::infinite, restore_atom_v)
      .then(
          [this](const StoredSnapshotPtr& stored) {
            if (!stored) {
              auto initial = std::make_shared<const Parameters>(options.initial());
              begin(Aggregation(options.strategy, options.optimizer, std::move(initial)), 1, false);
              return;
            }
            auto state = AggregationState{stored->state.model,
                                          stored->state.version,
                                          stored->state.updates_accepted,
                                          stored->state.optimizer_m.clone(),
                                          stored->state.optimizer_v.clone(),
                                          stored->state.buffer_sum.clone(),
                                          stored->state.buffer};
            auto restored = Aggregation::restore(options.strategy, options.optimizer, std::move(state));
            if (!restored)
              caf::anon_send(peers->node, lost_atom_v,
                             "the snapshot cannot be used: " + to_string(restored.error()));
            else
              begin(std::move(*restored), stored->next_task, true);
          },
          [this](const caf::error& error) {
            if (from_caf(error).code == ec::unreachable)
              return;  // asked again when the checkpointer is back (on_wire)
            const auto reason = "the run cannot be loaded: " + to_string(from_caf(error));
            spdlog::error("{}", reason);
            caf::anon_send(peers->node, lost_atom_v, reason);
          });
}

void AggregatorState::begin(Aggregation restored, TaskId next, bool is_restored) {
  aggregation.emplace(std::move(restored));
  published.emplace(options.transfer_folder, options.models_in_memory);
  next_task = next;
  if (is_synchronous(options.strategy.name)) aggregation->discard_buffer();  // its cohort begins anew
  model = published->publish(aggregation->version(), aggregation->model());
  goal = buffer_goal(options.strategy, live);
  self->send(peers->metrics, restore_atom_v, aggregation->version(), true);
  tell_wanted();
  const auto first = publication(true);
  self->send(peers->scheduler, publish_atom_v, first);
  self->send(peers->evaluator, publish_atom_v, first);
  if (is_restored) {
    spdlog::info("the model goes on from version {}", aggregation->version());
    if (options.on_restored) options.on_restored(aggregation->version());
  } else {
    snapshot_due = options.snapshot_every > 0;
  }
  save();
  if (options.goals.max_seconds.count() > 0) {
    const auto left =
        std::max(options.goals.max_seconds - (options.spent ? options.spent() : Seconds(0)), Seconds(0));
    self->delayed_send(self, std::chrono::duration_cast<std::chrono::milliseconds>(left), over_atom_v);
  }
  check_goals();
  for (auto& [update, promise] : std::exchange(early, {})) promise.deliver(submit(update));
}

PublicationPtr AggregatorState::publication(bool anew) const {
  return std::make_shared<const Publication>(
      Publication{model, aggregation->updates_accepted(), next_task, anew});
}

// -- folding
// ----------------------------------------------------------------------------------------------------------

Receipt AggregatorState::submit(const ValidUpdatePtr& update) {
  if (over) return refuse(*update, {ec::run_over, *over});
  const auto weight = aggregation->weigh(facts_of(update->info));
  const auto task = update->info.task;
  if (!weight) {
    auto refused = refuse(*update, weight.error());
    lose(task);  // a cohort does not wait for it
    return refused;
  }
  auto receipt = Receipt{task, ec::none, {}, weight->staleness, weight->fold};
  if (!is_synchronous(options.strategy.name)) {
    // A client's tasks rise. It answers one twice when its connection ended between its update and our
    // receipt.
    const auto last = answered.find(update->info.client);
    if (last != answered.end() && task <= last->second)
      return refuse(*update, {ec::duplicate_update, "the task was answered before"});
    if (auto ok = fold(*update, *weight); !ok) return refuse(*update, ok.error());
    answered[update->info.client] = task;
    tell_wanted();
    self->send(peers->scheduler, settle_atom_v, update->info.client, task);
    close_if_full();
    return receipt;
  }
  const auto slot = slots.find(task);
  if (slot == slots.end() || update->info.base != aggregation->version())
    return refuse(*update, {ec::unknown_lease, "the task does not belong to the current cohort"});
  if (slot->second.settled || slot->second.waiting)
    return refuse(*update, {ec::duplicate_update, "the task was answered before, or given up"});
  self->send(peers->scheduler, settle_atom_v, update->info.client, task);
  slot->second.waiting = update;
  slot->second.weight = *weight;
  fold_in_turn();
  return receipt;
}

Receipt AggregatorState::refuse(const ValidUpdate& update, const Error& error) {
  auto record = record_of(update);
  record.decision = error.code;
  unsaved.push_back(record);
  self->send(peers->metrics, std::make_shared<const UpdateRecord>(record));
  return {update.info.task, error.code, error.text, 0, 0};
}

Result<void> AggregatorState::fold(const ValidUpdate& update, const Weight& weight) {
  if (aggregation->folded() == 0) goal = buffer_goal(options.strategy, live);
  if (auto ok = aggregation->fold(facts_of(update.info), weight, update.payload); !ok) return ok;
  next_task = std::max(next_task, update.info.task + 1);
  const auto samples = static_cast<double>(update.info.samples);
  ++tally.updates;
  tally.samples += samples;
  tally.loss += samples * update.info.train_loss;
  tally.staleness += static_cast<double>(weight.staleness);
  auto record = record_of(update);
  record.folded_into = aggregation->version() + 1;
  record.staleness = weight.staleness;
  record.weight = weight.fold;
  unsaved.push_back(record);
  self->send(peers->metrics, std::make_shared<const UpdateRecord>(record));
  return {};
}

/// A cohort is trained as a whole; for the others there is no use in more work than is wanted.
void AggregatorState::tell_wanted() {
  const auto goal_updates = options.goals.max_updates;
  if (goal_updates == 0 || is_synchronous(options.strategy.name)) return;
  const auto left = goal_updates - std::min(goal_updates, aggregation->updates_accepted());
  self->send(peers->scheduler, want_atom_v, left);
}

void AggregatorState::open_cohort(const CohortPtr& opened) {
  if (!aggregation || over || opened->version != aggregation->version()) return;
  aggregation->discard_buffer();
  tally = {};
  cohort = opened;
  turn = 0;
  slots.clear();
  for (const auto task : cohort->tasks) slots.emplace(task, Slot());
}

void AggregatorState::lose(TaskId task) {
  const auto slot = slots.find(task);
  if (slot == slots.end() || slot->second.settled || slot->second.waiting) return;
  slot->second.settled = true;
  fold_in_turn();
}

void AggregatorState::fold_in_turn() {
  if (over) return;
  while (turn < cohort->tasks.size()) {
    auto& slot = slots[cohort->tasks[turn]];
    if (slot.waiting) {
      if (auto ok = fold(*slot.waiting, slot.weight); !ok) {
        spdlog::error("task {} cannot be folded: {}", slot.waiting->info.task, to_string(ok.error()));
        refuse(*slot.waiting, ok.error());
      }
      slot.waiting = nullptr;
      slot.settled = true;
    }
    if (!slot.settled) return;
    ++turn;
  }
  if (aggregation->folded() > 0) {
    close();
  } else {
    spdlog::warn("version {}: every task of the cohort was lost; it begins anew", aggregation->version());
    self->send(peers->scheduler, publish_atom_v, publication(true));
  }
}

void AggregatorState::close_if_full() {
  if (!aggregation || over || is_synchronous(options.strategy.name) || aggregation->folded() == 0) return;
  const auto full = aggregation->distinct_clients() >= std::min<std::size_t>(goal, std::max(live, 1u));
  if (full)
    close();
  else
    check_goals();
}

void AggregatorState::close() {
  chaos->strike_at("aggregator", "version", aggregation->version() + 1);
  aggregation->close();
  model = published->publish(aggregation->version(), aggregation->model());
  cohort = nullptr;
  slots.clear();

  auto made = VersionRecord();
  made.version = aggregation->version();
  made.updates = tally.updates;
  made.train_loss = tally.samples > 0 ? tally.loss / tally.samples : 0;
  made.staleness_mean = tally.updates > 0 ? tally.staleness / static_cast<double>(tally.updates) : 0;
  made.totals.updates_accepted = aggregation->updates_accepted();
  tally = {};
  unrecorded.push_back(std::make_shared<const VersionRecord>(made));
  record(unrecorded.back());
  self->send(peers->evaluator, publish_atom_v, publication(false));
  if (options.snapshot_every > 0 && made.version % options.snapshot_every == 0) snapshot_due = true;
  check_goals();
  if (!over) self->send(peers->scheduler, publish_atom_v, publication(false));
}

// -- ending
// -----------------------------------------------------------------------------------------------------------

void AggregatorState::check_goals() {
  const auto& goals = options.goals;
  if (over) return;
  if (goals.max_updates > 0 && aggregation->updates_accepted() >= goals.max_updates) {
    // What was accepted shall count: the open buffer becomes the last version, full or not.
    if (aggregation->folded() > 0) {
      close();
      return;  // which came here again
    }
    end("run.max_updates = " + std::to_string(goals.max_updates) + " reached");
  } else if (goals.max_versions > 0 && aggregation->version() >= goals.max_versions) {
    end("run.max_versions = " + std::to_string(goals.max_versions) + " reached");
  }
}

void AggregatorState::end(const std::string& reason) {
  if (over) return;
  over = reason;
  caf::anon_send(peers->node, over_atom_v, reason);
}

/// Versions reach the store before their snapshots: a resume never meets a snapshot whose version is unknown.
void AggregatorState::record(const VersionRecordPtr& version) {
  self->request(peers->metrics, caf::infinite, version)
      .then(
          [this](Version recorded) {
            while (!unrecorded.empty() && unrecorded.front()->version <= recorded) unrecorded.pop_front();
            if (unrecorded.empty()) save();
          },
          [](const caf::error&) {});  // metrics crashed: told again when it is back
}

void AggregatorState::save() {
  if (!unrecorded.empty()) return;
  if (saving || (unsaved.empty() && !snapshot_due)) {
    if (!saving && stopped.pending()) stopped.deliver(publication(false));
    return;
  }
  auto request = SaveRequest();
  request.version = aggregation->version();
  request.updates = unsaved;
  if (std::exchange(snapshot_due, false))
    request.snapshot =
        std::make_shared<const StoredSnapshot>(StoredSnapshot{aggregation->state(), next_task});
  saving = std::make_shared<const SaveRequest>(std::move(request));
  self->request(peers->checkpointer, caf::infinite, save_atom_v, saving)
      .then([this](Version version) { on_saved(version); },
            [this](const caf::error& error) { on_saved(tl::unexpected(from_caf(error))); });
}

void AggregatorState::on_saved(const Result<Version>& result) {
  if (!saving) return;
  if (!result) {
    // A crashed checkpointer is asked again when it is back (on_wire); what the disk refused, with the next
    // version.
    if (result.error().code == ec::unreachable || result.error().code == ec::internal) return;
    spdlog::error("version {} is not on disk: {}", saving->version, to_string(result.error()));
    snapshot_due = snapshot_due || saving->snapshot != nullptr;
    saving = nullptr;
    if (stopped.pending()) stopped.deliver(to_caf(result.error()));
    return;
  }
  unsaved.erase(unsaved.begin(), unsaved.begin() + static_cast<long>(saving->updates.size()));
  saving = nullptr;
  if (snapshot_due || stopped.pending()) save();
}

aggregator_actor::behavior_type aggregator(aggregator_actor::stateful_pointer<AggregatorState> self,
                                           AggregatorOptions options, ChaosPtr chaos) {
  self->state.options = std::move(options);
  self->state.chaos = std::move(chaos);
  end_with_reason_on_exception(self);
  return {
      [self](submit_atom, const ValidUpdatePtr& update) -> caf::result<Receipt> {
        auto& state = self->state;
        if (state.aggregation) return state.submit(update);
        auto promise = self->make_response_promise<Receipt>();
        state.early.emplace_back(update, promise);
        return promise;
      },
      [self](cohort_atom, const CohortPtr& cohort) { self->state.open_cohort(cohort); },
      [self](lost_atom, TaskId task) { self->state.lose(task); },
      [self](live_atom, std::uint32_t clients) {
        auto& state = self->state;
        // A restored buffer learns only now how many can fill it.
        if (state.live == 0) state.goal = buffer_goal(state.options.strategy, clients);
        state.live = clients;
        state.close_if_full();
      },
      [self](const Evaluation& evaluation) {
        auto& state = self->state;
        const auto target = state.options.goals.target_accuracy;
        if (target > 0 && evaluation.accuracy >= target)
          state.end("run.target_accuracy reached: " + std::to_string(evaluation.accuracy) + " at version " +
                    std::to_string(evaluation.version));
      },
      [self](stop_atom, const std::string& reason) {
        auto& state = self->state;
        if (!state.over) state.over = reason;
        state.stopped = self->make_response_promise<PublicationPtr>();
        if (!state.aggregation) {
          state.stopped.deliver(to_caf({ec::unavailable, "the run was stopped before it began"}));
          return state.stopped;
        }
        state.snapshot_due = true;
        state.save();
        return state.stopped;
      },
      [self](over_atom) {
        const auto seconds = self->state.options.goals.max_seconds.count();
        self->state.end("run.max_seconds = " + std::to_string(static_cast<long>(seconds)) + " reached");
      },
      [self](wire_atom, const PeersPtr& peers) { self->state.on_wire(peers); },
  };
}

}  // namespace fl
