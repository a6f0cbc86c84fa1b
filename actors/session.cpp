#include "actors/session.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "actors/crash_report.hpp"
#include "actors/flow_control.hpp"

namespace fl {

namespace {

/// How soon a client asks again while the scheduler restarts.
constexpr std::uint32_t kRetry_ms = 500;

/// The header and padding of an update, beyond its numbers.
constexpr std::uint64_t kHeaderAllowance_bytes = 1u << 20;

/// The largest part of a model or an update in one message: what clients send and ask for.
constexpr std::uint32_t kMaxChunk_bytes = FlowControl::kMaxChunk_bytes;

/// A client sends one update for a task; after a restart it may have trained another.
constexpr std::uint32_t kMaxOffers = 4;

/// Of a client's own words that reach the log.
constexpr std::size_t kMaxReason_bytes = 200;

}  // namespace

// -- Conduct ------------------------------------------------------------------------------------------------

/// Every message of the client passes here first.
Result<void> SessionState::admit() {
  const auto verdict = flood.request(self->clock().now());
  if (verdict == FloodGuard::Verdict::pass) return {};
  const auto error = Error{
      ec::flood, "more than validate.max_requests_per_second = " +
                     std::to_string(static_cast<std::uint64_t>(options->conduct.max_requests_per_second)) +
                     " requests"};
  if (verdict == FloodGuard::Verdict::refuse) return tl::unexpected(error);
  return tl::unexpected(object(0, error));
}

/// Refuses something other than a whole update: counted like one, where it is the client's doing.
Error SessionState::object(TaskId task, Error error) {
  if (is_offence(error.code) || error.code == ec::unknown_lease) {
    auto record = UpdateRecord();
    record.task = task;
    record.client = client;
    record.decision = error.code;
    report(record);
  }
  punish(error);
  log_refusal("a message", error);
  return error;
}

/// An offence too many ends the session; the client learns why from its next hello at the latest.
void SessionState::punish(Error& error) {
  if (!strike(*options->storage, client_name, options->conduct, error)) return;
  spdlog::warn("{} is quarantined: {}", client_name, to_string(error));
  drop_upload();
  lease = nullptr;
  self->send(peers->scheduler, caf::leave_atom_v, client, "the client is quarantined: " + to_string(error));
  self->quit();
}

void SessionState::log_refusal(std::string_view what, const Error& error) {
  if (const auto others = refusals.next(self->clock().now()))
    spdlog::warn("{} of {} is refused: {}: {}{}", what, client_name, name_of(error.code), error.text,
                 *others);
}

/// What the client says that it has.
Result<void> SessionState::declare(const Ready& said) {
  if (auto ok = check_ready(said); !ok) return ok;
  if (options->survey)
    if (auto ok = options->survey->note(client, said.samples, said.moments); !ok) return ok;
  if (!ready) {
    const auto saved =
        options->storage->save_client({client, client_name, said.samples, said.label_histogram});
    if (!saved) spdlog::error("client {} is not in the store: {}", client_name, saved.error().text);
  }
  ready = said;
  return {};
}

/// Its bytes will not be asked for again.
void SessionState::drop_upload() {
  if (upload) std::move(*upload).discard();
  upload.reset();
}

// -- Leases -------------------------------------------------------------------------------------------------

void SessionState::on_wire(const PeersPtr& handles) {
  const auto new_scheduler = handles->scheduler != peers->scheduler;
  const auto new_aggregator = handles->aggregator != peers->aggregator;
  peers = handles;
  if (new_scheduler) ++submissions;  // it may not have heard of an update that the aggregator took
  if (new_scheduler && !one_lease) {
    self->send(peers->scheduler, join_atom_v, client, caf::actor_cast<caf::actor>(self), lease);
    if (assignment.pending()) ask_scheduler();
  }
  if (new_aggregator && submitting) submit();
}

/// Nobody works before the inputs of all are understood in the same way.
void SessionState::ask_scheduler() {
  if (options->survey)
    if (const auto how = options->survey->get(); !how) {
      if (!std::exchange(told_to_wait, true)) spdlog::info("{} waits for {}", client_name, how.error().text);
      ask_to_wait(how.error().text);
      return;
    }
  self->request(peers->scheduler, caf::infinite, lease_atom_v, client, *ready)
      .then([this](const LeasePtr& given) { on_lease(given); },
            [this](const caf::error& error) { ask_to_wait(from_caf(error).text); });
}

void SessionState::ask_to_wait(const std::string& why) {
  if (!assignment.pending()) return;
  auto answer = Assignment();
  answer.reason = why;
  answer.retry_after_ms = kRetry_ms;
  assignment.deliver(answer);
}

void SessionState::on_lease(const LeasePtr& given) {
  if (!assignment.pending()) return;
  auto answer = given->assignment;
  if (answer.kind == Assignment::Kind::task) {
    if (!lease || lease->assignment.task.id != answer.task.id ||
        lease->assignment.task.epoch != answer.task.epoch) {
      drop_upload();
      offered.reset();
      offers = 0;
      fetched_bytes = 0;
      leased_at = self->clock().now();
    }
    if (options->survey) answer.task.standardisation = options->survey->get().value_or(Standardisation());
    if (auto ok = given->model ? prepare(answer.task, *given) : Result<void>(); !ok) {
      assignment.deliver(to_caf({ec::unavailable, ok.error().text}));
      return;
    }
    lease = std::make_shared<const Lease>(Lease{answer, given->model});
  }
  assignment.deliver(answer);
  if (lease && lease->model && !download.blob) on_fetched();
}

Result<Download> prepare_download(Downloads& downloads, const PublishedModelPtr& model, Version held,
                                  std::uint64_t held_hash, Task& task) {
  auto prepared = downloads.get(model, held, held_hash);
  if (!prepared) return prepared;
  task.base_hash = prepared->values_hash;
  task.model_bytes = prepared->size();
  task.model_hash = 0;
  return prepared;
}

/// Given what this client said it holds.
Result<void> SessionState::prepare(Task& task, const Lease& given) {
  auto prepared = prepare_download(*options->downloads, given.model, ready->held, ready->held_hash, task);
  if (!prepared) return tl::unexpected(prepared.error());
  download = std::move(*prepared);
  // Clients of the same process share the model and need no hash of what would travel.
  if (handle->node() != self->node())
    task.model_hash = download.blob == given.model ? given.model->hash().value_or(0) : download.hash;
  return {};
}

Result<void> SessionState::check_lease(TaskId task) const {
  if (lease && lease->assignment.task.id == task) return {};
  return fail(ec::unknown_lease, "task " + std::to_string(task) + " is not leased to this client");
}

Result<PublishedModelPtr> SessionState::model_of(TaskId task) {
  if (auto ok = check_lease(task); !ok) return tl::unexpected(ok.error());
  if (lease->model) return lease->model;
  // The client had it and lost it, and later versions have come: new work is worth more than an old version.
  const auto reason =
      "version " + std::to_string(lease->assignment.task.base) + " was sent before and is gone";
  give_up(task, reason);
  return fail(ec::unknown_lease, reason);
}

/// The client has the whole base: only the lease is kept, not the model.
void SessionState::on_fetched() {
  download = {};
  lease = std::make_shared<const Lease>(Lease{lease->assignment, nullptr});
  self->send(peers->scheduler, fetch_atom_v, client, lease->assignment.task.id);
}

void SessionState::give_up(TaskId task, const std::string& reason) {
  lease = nullptr;
  drop_upload();
  self->send(peers->scheduler, lost_atom_v, client, task, reason);
  end_with_lease();
}

Result<Chunk> SessionState::fetch(TaskId task, std::uint64_t offset, std::uint32_t length) {
  if (auto found = model_of(task); !found) return tl::unexpected(found.error());
  const auto& model = download.blob;
  if (!model) return fail(ec::corrupt_data, "the client said that it holds this model");
  if (offset >= model->size()) return fail(ec::corrupt_data, "the model ends before that");
  // A client takes each byte once; what it does not take would pile up on its connection.
  const auto wanted = std::min<std::uint64_t>({length, kMaxChunk_bytes, model->size() - offset});
  if (fetched_bytes + wanted > 2 * model->size() + kMaxChunk_bytes)
    return fail(ec::flood, "the same version was asked for again and again");
  auto bytes = model->part(offset, wanted);
  if (!bytes) return tl::unexpected(bytes.error());
  fetched_bytes += bytes->size();
  if (offset + bytes->size() == model->size()) {
    options->board->add_down(model->size());
    on_fetched();
  }
  return Chunk{task, offset, std::move(*bytes)};
}

// -- Updates ------------------------------------------------------------------------------------------------

Result<void> SessionState::check_offer(const UploadOffer& offer) {
  if (lease->assignment.task.epoch != offer.epoch)
    return fail(ec::unknown_lease,
                "task " + std::to_string(offer.task) + " is of an earlier life of the server");
  auto limit = options->layout->size_bytes() + kHeaderAllowance_bytes;
  if (options->max_model_bytes > 0)
    limit = std::min(limit, options->max_model_bytes + kHeaderAllowance_bytes);
  if (offer.size_bytes > limit)
    return fail(ec::wrong_length, "the update has " + std::to_string(offer.size_bytes) + " bytes, at most " +
                                      std::to_string(limit) + " are taken");
  return {};
}

Result<std::uint64_t> SessionState::begin_upload(const UploadOffer& offer) {
  if (auto ok = check_lease(offer.task); !ok) {
    // It may have been answered before the client could hear it: the commit will say, without the bytes.
    if (options->durable_updates) return offer.size_bytes;
    return tl::unexpected(ok.error());
  }
  if (auto ok = check_offer(offer); !ok) return tl::unexpected(ok.error());
  if (upload && upload->offer().task == offer.task && upload->offer().hash == offer.hash &&
      upload->offer().size_bytes == offer.size_bytes)
    return upload->received();
  // The same offer again is no offence: there may have been no room for it.
  if (std::exchange(offered, offer.hash) != offer.hash && ++offers > kMaxOffers)
    return fail(ec::flood, "more than " + std::to_string(kMaxOffers) + " different updates for one task");
  drop_upload();
  const auto named = options->durable_updates && !options->transfer_folder.empty();
  if (named && !std::exchange(offered_before, true)) remove_other_parts(options->transfer_folder, offer);
  auto begun = Upload::begin(offer, options->transfer_folder, options->durable_updates);
  if (!begun) {
    if (begun.error().code == ec::store_full) tell_no_room(offer.task);
    return tl::unexpected(begun.error());
  }
  upload.emplace(std::move(*begun));
  return upload->received();
}

Result<std::uint64_t> SessionState::add_chunk(const Chunk& chunk) {
  if (auto ok = admit(); !ok) {
    // Those that follow, which the client has sent already, are not to be taken for gaps.
    upload.reset();
    return tl::unexpected(ok.error());
  }
  if (!upload || upload->offer().task != chunk.task)
    return fail(ec::unknown_lease, "no upload of task " + std::to_string(chunk.task) + " is under way");
  if (chunk.bytes.size() > kMaxChunk_bytes) {
    drop_upload();
    return tl::unexpected(
        object(chunk.task, {ec::flood, "a chunk of " + std::to_string(chunk.bytes.size()) +
                                           " bytes; the largest has " + std::to_string(kMaxChunk_bytes)}));
  }
  if (auto ok = upload->add(chunk); !ok) {
    if (is_offence(ok.error().code)) return tl::unexpected(object(chunk.task, ok.error()));
    if (ok.error().code == ec::store_full) tell_no_room(chunk.task);
    upload.reset();
    return tl::unexpected(ok.error());
  }
  return upload->received();
}

caf::typed_response_promise<Receipt> SessionState::take(TaskId task, Result<ByteSourcePtr> blob) {
  // A client that has given up an older update does not wait for its decision.
  if (receipt.pending()) receipt.deliver(to_caf({ec::cancelled, "another update came"}));
  submitting = nullptr;
  receipt = self->make_response_promise<Receipt>();
  options->chaos->strike_next("session-" + std::to_string(client), "update");
  if (auto ok = check_lease(task); !ok) {
    if (options->durable_updates)
      ask_receipt(task);
    else
      refuse(task, ok.error());
    return receipt;
  }
  // What the server could not do is no word on the update: the client offers it again.
  const auto object_to = [&](const Error& error) {
    if (error.code == ec::unavailable || error.code == ec::io_failed)
      receipt.deliver(to_caf({ec::unavailable, error.text}));
    else
      refuse(task, error);
  };
  if (!blob) {
    object_to(blob.error());
    return receipt;
  }
  const auto& leased = lease->assignment.task;
  auto expected = UpdateExpectation();
  expected.layout = options->layout;
  expected.whole_model = options->whole_model;
  expected.evaluation_only = leased.kind == TaskKind::evaluate;
  expected.task = task;
  expected.epoch = leased.epoch;
  expected.client = client;
  expected.base = leased.base;
  expected.max_samples = ready ? ready->samples : 0;
  expected.max_validation_samples = ready ? ready->validation_samples : 0;
  expected.owner = leased.owner;
  expected.work = leased.work;
  expected.max_norm = options->conduct.max_update_norm;
  auto update = validate_update(*blob, expected);
  if (!update) {
    object_to(update.error());
    return receipt;
  }
  options->board->add_up(update->encoded_bytes);
  if (options->evaluate_on_clients && update->info.base_evaluation.samples > 0)
    self->send(peers->evaluator, update->info.base_evaluation, client);
  if (expected.evaluation_only) {
    submissions = 0;
    decide({task, ec::none, {}, 0, 0});
    return receipt;
  }
  if (taking && taking->task == task) update->hash = taking->hash;
  update->total_seconds = Seconds(self->clock().now() - leased_at).count();
  submitting = std::make_shared<const ValidUpdate>(std::move(*update));
  submissions = 0;
  submit();
  return receipt;
}

void SessionState::submit() {
  ++submissions;
  self->request(peers->aggregator, caf::infinite, submit_atom_v, submitting)
      .then(
          [this, asked = submitting](const Receipt& decision) {
            if (submitting == asked) decide(decision);
          },
          [this](const caf::error& error) {
            // The aggregator crashed: it is asked again when it is back (on_wire).
            spdlog::info("the update of {} waits for the aggregator: {}", client_name, from_caf(error).text);
          });
}

/// The decision may have been made before the connection or the server ended.
void SessionState::ask_receipt(TaskId task) {
  self->request(peers->aggregator, caf::infinite, receipt_atom_v, client, task)
      .then(
          [this, task](const Receipt& decision) {
            if (decision.accepted())
              decide(decision);
            else
              refuse(task, {decision.code, decision.text});
          },
          [this](const caf::error&) {
            // The client keeps its update and offers it again.
            if (receipt.pending())
              receipt.deliver(to_caf({ec::unavailable, "the server's aggregator is being restarted"}));
          });
}

void SessionState::decide(const Receipt& decision) {
  if (decision.code == ec::store_full) {
    // The lease holds on: the client offers the update again later.
    submitting = nullptr;
    tell_no_room(decision.task);
    if (receipt.pending()) receipt.deliver(decision);
    return;
  }
  if (lease && lease->assignment.task.id == decision.task) {
    // Of an update that it takes at once, the aggregator has told the scheduler.
    if (!decision.accepted() || submissions != 1)
      self->send(peers->scheduler, settle_atom_v, client, decision.task);
    lease = nullptr;
  }
  submitting = nullptr;
  if (upload && upload->offer().task == decision.task) upload.reset();
  auto told = decision;
  if (decision.accepted()) {
    spdlog::debug("update of {} for task {} accepted", client_name, decision.task);
  } else {
    if (taking && taking->task == decision.task && options->durable_updates &&
        !options->transfer_folder.empty()) {
      auto gone = std::error_code();
      std::filesystem::remove(upload_file(options->transfer_folder, taking->task, taking->hash), gone);
    }
    auto error = Error{decision.code, decision.text};
    punish(error);
    told.text = error.text;
    if (decision.code != ec::run_over)
      log_refusal("the update for task " + std::to_string(decision.task), error);
  }
  if (receipt.pending()) receipt.deliver(told);
  end_with_lease();
}

void SessionState::report(const UpdateRecord& record) {
  self->send(peers->metrics, std::make_shared<const std::vector<UpdateRecord>>(1, record));
}

void SessionState::end_with_lease() {
  if (one_lease && !lease && !receipt.pending() && !submitting) self->quit();
}

/// The update is not refused for good, but somebody should look at the disk.
void SessionState::tell_no_room(TaskId task) {
  auto record = UpdateRecord();
  record.task = task;
  record.client = client;
  record.decision = ec::store_full;
  report(record);
}

/// Refuses before the aggregator was asked; the lease is lost, so that its work is not waited for.
void SessionState::refuse(TaskId task, const Error& error) {
  auto record = UpdateRecord();
  record.task = task;
  record.client = client;
  record.decision = error.code;
  report(record);
  if (check_lease(task)) give_up(task, "its update was refused: " + error.text);
  decide({task, error.code, error.text, 0, 0});
}

namespace {

template <class T>
caf::result<T> answer(Result<T> result) {
  if (!result) return to_caf(result.error());
  return std::move(*result);
}

local_session_actor::behavior_type behavior_of(local_session_actor::stateful_pointer<SessionState> self) {
  self->set_default_handler(caf::drop);  // what is no message of the protocol leaves no line in the log
  end_with_reason_on_exception(self);
  return {
      [self](const Ready& ready) -> caf::result<Assignment> {
        auto& state = self->state;
        if (auto ok = state.admit(); !ok) return to_caf(ok.error());
        if (auto ok = state.declare(ready); !ok) return to_caf(state.object(0, ok.error()));
        if (state.assignment.pending())
          state.assignment.deliver(to_caf({ec::cancelled, "the client asked again"}));
        state.assignment = self->make_response_promise<Assignment>();
        state.ask_scheduler();
        return state.assignment;
      },
      [self](fetch_atom, TaskId task, std::uint64_t offset, std::uint32_t length) -> caf::result<Chunk> {
        auto& state = self->state;
        if (auto ok = state.admit(); !ok) return to_caf(ok.error());
        auto chunk = state.fetch(task, offset, length);
        if (!chunk)
          return to_caf(is_offence(chunk.error().code) ? state.object(task, chunk.error()) : chunk.error());
        return std::move(*chunk);
      },
      [self](const UploadOffer& offer) -> caf::result<std::uint64_t> {
        auto& state = self->state;
        if (auto ok = state.admit(); !ok) return to_caf(ok.error());
        const auto begun = state.begin_upload(offer);
        if (!begun) return to_caf(state.object(offer.task, begun.error()));
        return *begun;
      },
      [self](const Chunk& chunk) { return answer(self->state.add_chunk(chunk)); },
      [self](commit_atom, TaskId task) -> caf::result<Receipt> {
        auto& state = self->state;
        if (auto ok = state.admit(); !ok) return to_caf(ok.error());
        auto blob = Result<ByteSourcePtr>(fail(ec::unknown_lease, "no upload of this task is under way"));
        if (state.upload && state.upload->offer().task == task) {
          state.taking = state.upload->offer();
          blob = std::move(*state.upload).finish();
          state.upload.reset();
        }
        return state.take(task, std::move(blob));
      },
      [self](abandon_atom, TaskId task, const std::string& reason) {
        auto& state = self->state;
        if (!state.admit()) return;
        if (state.check_lease(task)) state.give_up(task, reason.substr(0, kMaxReason_bytes));
      },
      [self](fetch_atom, TaskId task) {
        auto& state = self->state;
        auto model = state.model_of(task);
        if (model) {
          state.options->board->add_down(state.download.size());
          state.on_fetched();
        }
        return answer(std::move(model));
      },
      [self](submit_atom, TaskId task, Epoch, const ByteSourcePtr& blob) {
        return self->state.take(task, blob);
      },
      [self](nudge_atom) { self->send(self->state.handle, nudge_atom_v); },
      [self](revoke_atom, TaskId task, const std::string& reason) {
        auto& state = self->state;
        if (state.lease && state.lease->assignment.task.id == task) {
          state.lease = nullptr;
          state.drop_upload();
        }
        self->send(state.handle, revoke_atom_v, task, reason);
        state.end_with_lease();
      },
      [self](finish_atom, const std::string& reason) {
        self->send(self->state.handle, finish_atom_v, reason);
      },
      [self](wire_atom, const PeersPtr& handles) { self->state.on_wire(handles); },
  };
}

}  // namespace

local_session_actor::behavior_type session(local_session_actor::stateful_pointer<SessionState> self,
                                           SessionOptionsPtr options, ClientId client,
                                           std::string client_name, client_actor handle, caf::actor gateway,
                                           PeersPtr peers) {
  self->state.options = std::move(options);
  self->state.client = client;
  self->state.client_name = std::move(client_name);
  self->state.handle = handle;
  self->state.peers = std::move(peers);
  self->state.flood = FloodGuard(self->state.options->conduct.max_requests_per_second);
  self->monitor(handle);
  self->monitor(gateway);
  self->set_down_handler([self](const caf::down_msg&) { self->quit(); });
  self->send(self->state.peers->scheduler, join_atom_v, client, caf::actor_cast<caf::actor>(self),
             LeasePtr());
  return behavior_of(self);
}

local_session_actor::behavior_type fleet_session(local_session_actor::stateful_pointer<SessionState> self,
                                                 SessionOptionsPtr options, FleetMember member,
                                                 PeersPtr peers) {
  auto& state = self->state;
  state.options = std::move(options);
  state.client = member.client;
  state.client_name = std::move(member.name);
  state.handle = member.handle;
  state.peers = std::move(peers);
  state.lease = std::move(member.lease);
  state.ready.emplace();
  state.ready->samples = member.samples;
  state.ready->validation_samples = member.validation_samples;
  state.one_lease = true;
  state.leased_at = member.leased_at;
  return behavior_of(self);
}

}  // namespace fl
