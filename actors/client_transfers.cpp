// What a client fetches and delivers: the base of its task, and its update.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "actors/client.hpp"

namespace fl {

namespace {

/// How long the server may think about an update before the owner of the client reads of it.
constexpr auto kReceiptNotice = std::chrono::seconds(10);

/// The oldest chunk under way has arrived.
void acknowledge_first(std::deque<PassagePtr>& under_way, std::uint64_t bytes, FlowControl::TimePoint now) {
  if (under_way.empty()) return;
  under_way.front()->acknowledged(bytes, now);
  under_way.pop_front();
}

}  // namespace

// -- fetching -----------------------------------------------------------------------------------------------

void ClientState::fetch() {
  if (options->in_process) {
    self->request(caf::actor_cast<local_session_actor>(session), options->request_timeout, fetch_atom_v,
                  task.id)
        .then(
            [this, now = life, id = task.id, epoch = task.epoch](const PublishedModelPtr& model) {
              if (now != life || work != Work::fetching || id != task.id || epoch != task.epoch) return;
              auto parameters = model->parameters();
              if (!parameters) {
                give_up_for_a_while(parameters.error());
                return;
              }
              tally.bytes_down += task.model_bytes;
              set_base(*parameters, task.base, model->values_hash().value_or(0));
              train();
            },
            [this, now = life, id = task.id, epoch = task.epoch](const caf::error& error) {
              if (now == life && work == Work::fetching && id == task.id && epoch == task.epoch)
                on_fetch_failed(from_caf(error));
            });
    return;
  }
  if (task.model_bytes == 0) {
    disconnect({ec::unavailable, "the server cannot send version " + std::to_string(task.base) + " yet"});
    return;
  }
  // A download that broke off goes on where it was, when the same model is asked for.
  const auto same_model = receiver && task.model_hash != 0 && receiver->hash() == task.model_hash &&
                          receiver->size() == task.model_bytes;
  if (!same_model) receiver.emplace(layout_of(), task.model_bytes, task.model_hash);
  stop_transfers();
  requested = receiver->received();
  fetch_more();
}

void ClientState::fetch_more() {
  while (more_to_fetch()) {
    const auto passage = options->downlink->enter(self->id(), self->clock().now(), when_free());
    if (!passage) return;
    fetch_next(passage);
  }
}

void ClientState::fetch_next(const PassagePtr& passage) {
  const auto length = std::min<std::uint64_t>(passage->chunk_bytes(), task.model_bytes - *requested);
  downloading.push_back(passage);
  self->request(session, options->request_timeout, fetch_atom_v, task.id, *requested,
                static_cast<std::uint32_t>(length))
      .then(
          [this, now = life, id = task.id, epoch = task.epoch](const Chunk& chunk) {
            if (now != life || work != Work::fetching || id != task.id || epoch != task.epoch || !receiver)
              return;
            acknowledge_first(downloading, chunk.bytes.size(), self->clock().now());
            tally.bytes_down += chunk.bytes.size();
            if (chunk.offset != receiver->received()) {
              disconnect({ec::corrupt_data, "a part of the model is missing"});
              return;
            }
            if (auto ok = receiver->add(chunk.bytes.view()); !ok) {
              receiver.reset();
              if (ok.error().code == ec::layout_mismatch)
                fail(ok.error());
              else
                disconnect(ok.error());
              return;
            }
            // One model at a time, where the next is no change of it.
            if (receiver->begun() && !receiver->changes_held()) forget_base();
            if (receiver->complete())
              on_fetched();
            else
              fetch_more();
          },
          [this, now = life, id = task.id, epoch = task.epoch](const caf::error& error) {
            if (now == life && work == Work::fetching && id == task.id && epoch == task.epoch)
              on_fetch_failed(from_caf(error));
          });
  *requested += length;
}

void ClientState::on_fetched() {
  auto parameters = receiver->finish(base);
  receiver.reset();
  if (!parameters) {
    disconnect(parameters.error());
    return;
  }
  const auto hash = values_hash_of(**parameters);
  set_base(std::move(*parameters), task.base, hash);
  if (has_base()) {
    train();
    return;
  }
  spdlog::warn("{}: what came is not version {}; it is fetched as a whole", options->name, task.base);
  forget_base();
  work = Work::idle;
  ask_for_work();
}

/// Whether what the client holds is the task's base, bit for bit.
bool ClientState::has_base() const {
  return base && base_version == task.base && (task.base_hash == 0 || base_hash == task.base_hash);
}

void ClientState::set_base(ParametersPtr parameters, Version version, std::uint64_t hash) {
  base = std::move(parameters);
  base_version = version;
  base_hash = hash;
}

void ClientState::forget_base() {
  base = nullptr;
  base_version.reset();
  base_hash = 0;
}

void ClientState::on_fetch_failed(const Error& reason) {
  if (reason.code != ec::unknown_lease) {
    disconnect(reason);
    return;
  }
  drop_task();
  ask_for_work();
}

// -- delivering ---------------------------------------------------------------------------------------------

void ClientState::deliver() {
  ++deliveries;
  committed = options->in_process;
  if (options->in_process) {
    self->request(caf::actor_cast<local_session_actor>(session), caf::infinite, submit_atom_v, task.id,
                  task.epoch, update->blob)
        .then(
            [this, now = deliveries](const Receipt& receipt) {
              if (now == deliveries) on_receipt(receipt);
            },
            [this, now = deliveries](const caf::error& error) {
              if (now == deliveries) disconnect(from_caf(error));
            });
    return;
  }
  const auto hash = hash_of(*update->blob).value_or(0);
  stop_transfers();
  self->request(session, options->request_timeout,
                UploadOffer{task.id, task.epoch, update->blob->size(), hash})
      .then(
          [this, now = deliveries](std::uint64_t offset) {
            if (now != deliveries || work != Work::delivering) return;
            if (offset >= update->blob->size()) {
              commit();
            } else {
              upload_offset = offset;
              send_more();
            }
          },
          [this, now = deliveries](const caf::error& error) {
            const auto reason = from_caf(error);
            if (now == deliveries) on_delivery_failed(reason, is_offence(reason.code));
          });
}

void ClientState::send_more() {
  while (more_to_send()) {
    const auto passage = options->uplink->enter(self->id(), self->clock().now(), when_free());
    if (!passage) return;
    send_next(passage);
  }
}

void ClientState::send_next(const PassagePtr& passage) {
  const auto length = std::min<std::uint64_t>(passage->chunk_bytes(), update->blob->size() - *upload_offset);
  auto bytes = update->blob->part(*upload_offset, length);
  if (!bytes) {
    give_up_for_a_while(bytes.error());
    return;
  }
  auto chunk = Chunk{task.id, *upload_offset, std::move(*bytes)};
  *upload_offset += length;
  uploading.push_back(passage);
  self->request(session, options->request_timeout, std::move(chunk))
      .then(
          [this, now = deliveries, length](std::uint64_t received) {
            if (now != deliveries || work != Work::delivering) return;
            acknowledge_first(uploading, length, self->clock().now());
            tally.bytes_up += length;
            if (received == update->blob->size())
              commit();
            else
              send_more();
          },
          [this, now = deliveries](const caf::error& error) {
            if (now == deliveries) on_delivery_failed(from_caf(error), false);
          });
}

/// Tells this actor when its turn on a link has come.
SharedLink::Grant ClientState::when_free() const {
  return [address = self->address()](PassagePtr passage) {
    if (const auto client = caf::actor_cast<caf::actor>(address))
      caf::anon_send(client, turn_atom_v, std::move(passage));
  };
}

/// Who has nothing to transfer any more lets the passage end, and another client has its turn.
void ClientState::on_turn(const PassagePtr& passage) {
  if (passage->is_of(*options->downlink)) {
    if (!more_to_fetch()) return;
    fetch_next(passage);
    fetch_more();
  } else {
    if (!more_to_send()) return;
    send_next(passage);
    send_more();
  }
}

/// Answers to what is under way may never come.
void ClientState::stop_transfers() {
  requested.reset();
  downloading.clear();
  upload_offset.reset();
  uploading.clear();
}

/// What is said of the update itself is its receipt; anything else is the server's or the connection's
/// trouble, and the update is sent again.
void ClientState::on_delivery_failed(const Error& reason, bool refused) {
  if (work != Work::delivering) return;
  if (refused || reason.code == ec::store_full || reason.code == ec::unknown_lease)
    on_receipt({task.id, reason.code, reason.text, 0, 0});
  else
    disconnect(reason);
}

void ClientState::commit() {
  upload_offset.reset();
  committed = true;
  // Checking and folding may have to wait for other clients' updates, or for the server's disk: no timeout,
  // but a line in the log; the session's end is noticed.
  self->delayed_send(self, kReceiptNotice, receipt_atom_v, deliveries);
  self->request(session, caf::infinite, commit_atom_v, task.id)
      .then(
          [this, now = deliveries](const Receipt& receipt) {
            if (now == deliveries) on_receipt(receipt);
          },
          [this, now = deliveries](const caf::error& error) {
            if (now == deliveries) disconnect(from_caf(error));
          });
}

void ClientState::on_no_receipt_yet(std::uint64_t delivery) {
  if (work != Work::delivering || delivery != deliveries) return;
  tally.state = "waiting for the receipt of task " + std::to_string(task.id);
  spdlog::info(
      "{}: the update of task {} waits: the aggregator has it and has not decided on it for {} s "
      "(`fl_actor_node status` says what it waits for)",
      options->name, task.id, kReceiptNotice.count());
}

void ClientState::on_receipt(const Receipt& receipt) {
  if (work != Work::delivering || receipt.task != task.id) return;
  if (receipt.code == ec::store_full) {
    stop_transfers();
    tally.state = "waiting until the server has room";
    if (failures == 0)
      spdlog::warn("{}: the update of task {} waits: {}", options->name, task.id, receipt.text);
    self->delayed_send(self, pause_after(failures++), submit_atom_v, ++deliveries);
    return;
  }
  failures = 0;
  settle_residual(receipt);  // before the spool forgets the update that it belongs to
  if (options->spool) options->spool->clear();
  if (receipt.accepted()) {
    if (task.kind == TaskKind::train) ++tally.updates_accepted;
    spdlog::log(news_level(),
                "{}: update of task {} from version {} accepted: loss {:.4f}, {:.1f} s, staleness {}",
                options->name, task.id, task.base, update->info.train_loss, update->info.train_seconds,
                receipt.staleness);
  } else {
    ++tally.updates_rejected[std::string(name_of(receipt.code))];
    spdlog::log(receipt.code == ec::run_over ? news_level() : spdlog::level::warn,
                "{}: update of task {} refused: {}: {}", options->name, task.id, name_of(receipt.code),
                receipt.text);
  }
  drop_task();
  if (connection == Connection::connected) ask_for_work();
}

}  // namespace fl
