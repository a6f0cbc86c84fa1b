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

/// Versions that may wait for the disk; updates for more are not decided on until it is done.
constexpr std::size_t kMaxUnpublished = 2;

/// Decisions that may wait for room on the disk without anybody waiting for them.
constexpr std::size_t kMaxUnsavedRecords = 10'000;

/// Before a save that found no room is tried again.
constexpr auto kRetrySave = std::chrono::seconds(1);

template <class T>
void drop_first(T& container, std::size_t count) {
  container.erase(container.begin(), container.begin() + static_cast<std::ptrdiff_t>(count));
}

UpdateRecord record_of(const ValidUpdate& update) {
  auto record = UpdateRecord();
  record.task = update.info.task;
  record.epoch = update.info.epoch;
  record.client = update.info.client;
  record.owner = update.owner;
  record.work = update.work;
  record.base = update.info.base;
  record.samples = update.info.samples;
  record.train_loss = update.info.train_loss;
  record.train_seconds = update.info.train_seconds;
  record.norm = update.norm;
  record.bytes = update.encoded_bytes;
  record.total_s = update.total_seconds;
  return record;
}

/// What the scheduler learns from an update.
TaskAnswer answer_in(const UpdateInfo& info) {
  return {info.train_seconds, info.steps, info.samples, info.train_loss};
}

}  // namespace

// -- starting -----------------------------------------------------------------------------------------------

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
    snapshot_due = snapshot_due || saving->snapshot;
    saving = nullptr;
    save();
  }
}

void AggregatorState::restore() {
  self->request(peers->checkpointer, caf::infinite, restore_atom_v)
      .then(
          [this](const RecoveredPtr& recovered) {
            if (!recovered) {
              auto initial = std::make_shared<const Parameters>(options.initial());
              begin(Aggregation(options.strategy, options.optimizer, std::move(initial)), 1, false);
              return;
            }
            auto restored =
                Aggregation::restore(options.strategy, options.optimizer, recovered->snapshot.state.clone());
            if (!restored) {
              caf::anon_send(peers->node, lost_atom_v,
                             "the snapshot cannot be used: " + to_string(restored.error()));
              return;
            }
            for (const auto& update : recovered->newest_accepted) {
              answered[update.client] = {{update.task, ec::none, {}, update.staleness, update.weight}, 0};
              done[update.owner] = update.work;
            }
            begin(std::move(*restored), recovered->snapshot.next_task, true);
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
  committed = aggregation->updates_accepted();
  model = publish_model();
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
  decide_waiting();
}

PublishedModelPtr AggregatorState::publish_model() {
  auto made = published->publish(aggregation->version(), aggregation->model());
  options.downloads->add(made, aggregation->delta());
  return made;
}

PublicationPtr AggregatorState::publication(bool anew) const {
  return std::make_shared<const Publication>(
      Publication{model, aggregation->updates_accepted(), next_task, anew});
}

// -- folding ------------------------------------------------------------------------------------------------

void AggregatorState::submit(const ValidUpdatePtr& update, ReceiptPromise promise) {
  arrivals.push_back({update, std::move(promise)});
  decide_waiting();
}

void AggregatorState::decide_waiting() {
  while (aggregation && !arrivals.empty() && unpublished.size() < kMaxUnpublished) {
    auto [update, promise] = std::move(arrivals.front());
    arrivals.pop_front();
    decide(update, std::move(promise));
  }
  // While there is no room the next attempt has its time; not every update that comes is one.
  if (options.durable_updates && aggregation && !no_room) save();
}

/// Whether this update was folded before, or waits for its turn in `slot`: a client sends one again when its
/// connection ended between its update and our receipt. Then `promise` is taken, and kept like the first one.
bool AggregatorState::recognise(ClientId client, TaskId task, Slot* slot, ReceiptPromise& promise) {
  if (!options.durable_updates && is_synchronous(options.strategy.name)) return false;
  if (const auto last = answered.find(client); last != answered.end() && last->second.receipt.task == task) {
    acknowledge(std::move(promise), last->second);
    return true;
  }
  if (slot == nullptr || !slot->holds(client, task)) return false;
  slot->promise = std::move(promise);
  return true;
}

void AggregatorState::decide(const ValidUpdatePtr& update, ReceiptPromise promise) {
  const auto task = update->info.task;
  const auto found = slots.find(update->work);
  auto* const slot = found == slots.end() ? nullptr : &found->second;
  if (recognise(update->info.client, task, slot, promise)) return;
  if (over) {
    promise.deliver(refuse(*update, {ec::run_over, *over}));
    return;
  }
  if (no_room) {
    promise.deliver(Receipt{task, ec::store_full, no_room->text, 0, 0});
    return;
  }
  const auto weight = aggregation->weigh(facts_of(update->info));
  if (!weight) {
    promise.deliver(refuse(*update, weight.error()));
    lose(update->work);  // a cohort does not wait for it
    return;
  }
  if (!is_synchronous(options.strategy.name)) {
    // A client's tasks rise.
    const auto last = answered.find(update->info.client);
    if (last != answered.end() && task < last->second.receipt.task) {
      promise.deliver(
          refuse(*update, {ec::duplicate_update, "a later task of the client was answered before"}));
      return;
    }
    // Works rise too. This one was done by a client that holds the same data (schedule.backup_tasks).
    if (const auto work = done.find(update->owner); work != done.end() && update->work <= work->second) {
      promise.deliver(refuse(*update, {ec::duplicate_update, "another client did the same work first"}));
      return;
    }
    if (auto ok = fold(*update, *weight); !ok) {
      promise.deliver(refuse(*update, ok.error()));
      return;
    }
    const auto answer = answer_of(*update, *weight);
    answered[update->info.client] = answer;
    done[update->owner] = update->work;
    self->send(peers->scheduler, settle_atom_v, update->info.client, task, answer_in(update->info));
    // A receipt that waits for the disk is to go with the save that a full buffer begins.
    if (options.durable_updates) acknowledge(std::move(promise), answer);
    close_if_full();
    if (!options.durable_updates) promise.deliver(answer.receipt);
    return;
  }
  if (spare.contains(update->work)) {
    promise.deliver(
        refuse(*update, {ec::duplicate_update, "enough other clients answered first (schedule.redundancy)"}));
    return;
  }
  if (slot == nullptr || update->info.base != aggregation->version()) {
    promise.deliver(refuse(*update, {ec::unknown_lease, "the task does not belong to the current cohort"}));
    return;
  }
  if (slot->settled || slot->waiting) {
    promise.deliver(refuse(*update, {ec::duplicate_update, "the task was answered before, or given up"}));
    return;
  }
  self->send(peers->scheduler, settle_atom_v, update->info.client, task, answer_in(update->info));
  slot->waiting = update;
  slot->weight = *weight;
  if (options.durable_updates)
    slot->promise = std::move(promise);
  else
    promise.deliver(answer_of(*update, *weight).receipt);
  if (++taken == cohort->wanted) settle_the_rest();
  fold_in_turn();
}

/// Enough have answered: the cohort does not wait for the others.
void AggregatorState::settle_the_rest() {
  spare.clear();
  for (auto& [task, slot] : slots)
    if (!slot.settled && !slot.waiting) {
      slot.settled = true;
      spare.insert(task);
    }
}

/// Tells the client at once, or when the update is on disk.
void AggregatorState::acknowledge(ReceiptPromise promise, const Answer& answer) {
  if (options.durable_updates && answer.number > committed)
    unheard.push_back({std::move(promise), answer});
  else
    promise.deliver(answer.receipt);
}

/// To the update that was folded last.
AggregatorState::Answer AggregatorState::answer_of(const ValidUpdate& update, const Weight& weight) const {
  return {{update.info.task, ec::none, {}, weight.staleness, weight.fold}, aggregation->updates_accepted()};
}

Receipt AggregatorState::refuse(const ValidUpdate& update, const Error& error) {
  auto record = record_of(update);
  record.time_s = spent_s();
  record.decision = error.code;
  unsaved.refused.push_back(record);
  tell(record);
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
  if (tuner) tuner->note_update(update.info.base);
  auto record = record_of(update);
  record.time_s = spent_s();
  record.folded_into = aggregation->version() + 1;
  record.staleness = weight.staleness;
  record.weight = weight.fold;
  auto entry = LedgerUpdate{aggregation->updates_accepted(), record, weight.divisor, nullptr, update.hash};
  if (options.durable_updates) entry.blob = update.payload.source;
  unsaved.accepted.push_back(std::move(entry));
  if (!options.durable_updates) tell(record);
  return {};
}

double AggregatorState::spent_s() const {
  return options.spent ? options.spent().count() : 0;
}

/// Metrics hears of decisions one by one, or of some together where there are very many.
void AggregatorState::tell(const UpdateRecord& record) {
  untold.push_back(record);
  if (untold.size() >= options.tell_together) tell_all();
}

void AggregatorState::tell_all() {
  if (untold.empty()) return;
  self->send(peers->metrics, std::make_shared<const std::vector<UpdateRecord>>(std::exchange(untold, {})));
}

/// A cohort is trained as a whole; for the others there is no use in more work than is wanted. The scheduler
/// counts from there.
void AggregatorState::tell_wanted() {
  told_wanted.reset();
  if (over) {
    want_no_more();
    return;
  }
  const auto goal_updates = options.goals.max_updates;
  if (goal_updates == 0 || is_synchronous(options.strategy.name)) return;
  tell_wanted(goal_updates - std::min(goal_updates, aggregation->updates_accepted()));
}

/// What would be trained now would be refused.
void AggregatorState::want_no_more() {
  if (peers && told_wanted != 0) tell_wanted(0);
}

void AggregatorState::tell_wanted(std::uint64_t updates) {
  told_wanted = updates;
  self->send(peers->scheduler, want_atom_v, updates);
}

void AggregatorState::open_cohort(const CohortPtr& opened) {
  if (!aggregation || over || opened->version != aggregation->version()) return;
  forget_cohort({ec::unknown_lease, "the cohort began anew"});
  cohort = opened;
  turn = 0;
  taken = 0;
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
      if (auto ok = fold(*slot.waiting, slot.weight); ok) {
        const auto answer = answer_of(*slot.waiting, slot.weight);
        answered[slot.waiting->info.client] = answer;
        if (slot.promise.pending()) acknowledge(slot.promise, answer);
      } else {
        spdlog::error("task {} cannot be folded: {}", slot.waiting->info.task, to_string(ok.error()));
        auto refused = refuse(*slot.waiting, ok.error());
        if (slot.promise.pending()) slot.promise.deliver(std::move(refused));
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
  const auto divisor = aggregation->divisor();
  aggregation->close();
  unsaved.closings.push_back({aggregation->version(), aggregation->updates_accepted(), divisor});
  cohort = nullptr;
  slots.clear();

  auto made = VersionRecord();
  made.version = aggregation->version();
  made.updates = tally.updates;
  made.train_loss = tally.samples > 0 ? tally.loss / tally.samples : 0;
  made.staleness_mean = tally.updates > 0 ? tally.staleness / static_cast<double>(tally.updates) : 0;
  made.totals.updates_accepted = aggregation->updates_accepted();
  tally = {};
  tune_buffer(made);
  auto news = Publication{publish_model(), aggregation->updates_accepted(), next_task, false};
  unpublished.push_back(
      {std::make_shared<const Publication>(std::move(news)), std::make_shared<const VersionRecord>(made)});
  if (options.snapshot_every > 0 && made.version % options.snapshot_every == 0) snapshot_due = true;
  check_goals();
  if (options.durable_updates)
    save();
  else
    publish();
}

/// The next buffer may be of another size.
void AggregatorState::tune_buffer(const VersionRecord& made) {
  if (!tuner) return;
  auto& size = options.strategy.buffer_size;
  const auto used = size > 0 ? size : goal;
  const auto next = tuner->note_version(made.version, spent_s(), used);
  if (!next) return;
  spdlog::info(
      "version {}: strategy.buffer_size is {} now (was {}): {:.3g} updates/s, {:.1f} tasks under way",
      made.version, *next, used, tuner->updates_per_s(), tuner->under_way());
  size = *next;
}

/// Tells the others of the oldest new version.
void AggregatorState::publish() {
  tell_all();
  const auto [news, made] = std::move(unpublished.front());
  unpublished.pop_front();
  model = news->model;
  unrecorded.push_back(made);
  record(made);
  self->send(peers->evaluator, publish_atom_v, news);
  if (over) return;
  tell_wanted();
  self->send(peers->scheduler, publish_atom_v, news);
}

/// Tells the others of decisions that are on disk now, in their order.
void AggregatorState::announce(const LedgerBatch& batch) {
  auto update = batch.accepted.begin();
  const auto count_until = [&](std::uint64_t number) {
    for (; update != batch.accepted.end() && update->number <= number; ++update) tell(update->record);
    tell_all();
  };
  for (const auto& closing : batch.closings) {
    count_until(closing.last_number);
    publish();
  }
  if (!batch.accepted.empty()) count_until(batch.accepted.back().number);
}

/// What the open cohort folded is taken back: it was not told to anybody, or is trained again.
void AggregatorState::forget_cohort(const Error& reason) {
  const auto discarded = aggregation->discard_buffer();
  tally = {};
  for (auto& [task, slot] : slots)
    if (slot.promise.pending() && !slot.settled)
      slot.promise.deliver(Receipt{task, reason.code, reason.text, 0, 0});
  slots.clear();
  if (!options.durable_updates) return;
  unsaved.accepted.resize(unsaved.accepted.size() - discarded);
  const auto gone = [newest = aggregation->updates_accepted()](const Answer& answer) {
    return answer.number > newest;
  };
  std::erase_if(answered, [&](const auto& entry) { return gone(entry.second); });
  const auto refused = std::stable_partition(unheard.begin(), unheard.end(),
                                             [&](const auto& one) { return !gone(one.answer); });
  for (auto one = refused; one != unheard.end(); ++one)
    one->promise.deliver(Receipt{one->answer.receipt.task, reason.code, reason.text, 0, 0});
  unheard.erase(refused, unheard.end());
}

// -- ending -------------------------------------------------------------------------------------------------

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
  goal_reached = true;
  want_no_more();
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

/// One request at a time. With durable updates a cohort is saved as a whole; otherwise versions are recorded
/// before their snapshot.
void AggregatorState::save() {
  if (saving || (!options.durable_updates && !unrecorded.empty())) return;
  const auto in_cohort = is_synchronous(options.strategy.name) && aggregation->folded() > 0;
  if (options.durable_updates && in_cohort && unpublished.empty()) return;
  if (unsaved.empty() && !snapshot_due) {
    if (stopped.pending()) stopped.deliver(publication(false));
    return;
  }
  auto request = SaveRequest();
  request.version = aggregation->version();
  request.batch = unsaved;
  request.wait_for_snapshot = !options.durable_updates || stopped.pending();
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
    // A crashed checkpointer is asked again when it is back (on_wire).
    if (result.error().code == ec::unreachable || result.error().code == ec::internal) return;
    if (!no_room) spdlog::error("version {} is not on disk: {}", saving->version, to_string(result.error()));
    snapshot_due = snapshot_due || saving->snapshot != nullptr;
    saving = nullptr;
    if (stopped.pending()) {
      stop_without_room(result.error());
    } else if (options.durable_updates) {
      no_room = result.error();
      auto put_off = UpdateRecord();
      put_off.decision = ec::store_full;
      tell(put_off);
      if (!std::exchange(retrying, true)) self->delayed_send(self, kRetrySave, save_atom_v);
    }
    forget_records();
    return;
  }
  no_room.reset();
  const auto request = std::exchange(saving, nullptr);
  drop_first(unsaved.accepted, request->batch.accepted.size());
  drop_first(unsaved.closings, request->batch.closings.size());
  drop_first(unsaved.refused, request->batch.refused.size());
  if (!request->batch.accepted.empty()) committed = request->batch.accepted.back().number;
  const auto heard = std::stable_partition(unheard.begin(), unheard.end(),
                                           [this](const auto& one) { return one.answer.number > committed; });
  for (auto one = heard; one != unheard.end(); ++one) one->promise.deliver(one->answer.receipt);
  unheard.erase(heard, unheard.end());
  if (options.durable_updates) announce(request->batch);
  decide_waiting();
  if (snapshot_due || stopped.pending()) save();
}

/// Where nobody was told of what is not on disk, the run ends with the version that is. A goal was reached
/// with the last one only.
void AggregatorState::stop_without_room(const Error& reason) {
  if (!options.durable_updates || goal_reached) {
    stopped.deliver(to_caf(reason));
    return;
  }
  spdlog::warn(
      "the run ends with version {}; what came later is not saved ({}). Nobody was told of it, and after "
      "--resume it is sent or trained again",
      model->version(), reason.text);
  stopped.deliver(publication(false));
}

/// Of what is recorded for reading only, the oldest is given up where the disk has no room for long.
void AggregatorState::forget_records() {
  const auto forget = [](auto& records) {
    if (records.size() > kMaxUnsavedRecords) drop_first(records, records.size() - kMaxUnsavedRecords);
  };
  forget(unsaved.refused);
  if (!options.durable_updates) forget(unsaved.accepted);
}

aggregator_actor::behavior_type aggregator(aggregator_actor::stateful_pointer<AggregatorState> self,
                                           AggregatorOptions options, ChaosPtr chaos) {
  if (options.strategy.buffer_auto) self->state.tuner.emplace(options.strategy.buffer_staleness);
  self->state.options = std::move(options);
  self->state.chaos = std::move(chaos);
  end_with_reason_on_exception(self);
  return {
      [self](submit_atom, const ValidUpdatePtr& update) -> caf::result<Receipt> {
        auto promise = self->make_response_promise<Receipt>();
        self->state.submit(update, promise);
        return promise;
      },
      [self](receipt_atom, ClientId client, TaskId task) -> caf::result<Receipt> {
        auto& state = self->state;
        const auto undecided = std::ranges::any_of(state.arrivals, [&](const auto& arrival) {
          return arrival.update->info.client == client && arrival.update->info.task == task;
        });
        if (!state.aggregation || undecided)
          return to_caf({ec::unavailable, "the aggregator cannot say yet"});
        const auto found = std::ranges::find_if(
            state.slots, [&](const auto& entry) { return entry.second.holds(client, task); });
        auto* const slot = found == state.slots.end() ? nullptr : &found->second;
        auto promise = self->make_response_promise<Receipt>();
        if (!state.recognise(client, task, slot, promise))
          promise.deliver(Receipt{task, ec::unknown_lease, "the task is not leased to this client", 0, 0});
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
        state.want_no_more();
        if (!state.aggregation) {
          state.stopped.deliver(to_caf({ec::unavailable, "the run was stopped before it began"}));
          return state.stopped;
        }
        if (state.options.durable_updates && is_synchronous(state.options.strategy.name))
          state.forget_cohort({ec::run_over, reason});
        state.snapshot_due = true;
        state.decide_waiting();
        state.tell_all();
        state.save();
        return state.stopped;
      },
      [self](over_atom) {
        const auto seconds = self->state.options.goals.max_seconds.count();
        self->state.end("run.max_seconds = " + std::to_string(static_cast<long>(seconds)) + " reached");
      },
      [self](save_atom) {
        self->state.retrying = false;
        self->state.save();
      },
      [self](wire_atom, const PeersPtr& peers) { self->state.on_wire(peers); },
  };
}

}  // namespace fl
