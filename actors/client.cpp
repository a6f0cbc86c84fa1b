// The client's work: ask, fetch, train, deliver. (Its connection is in client_connection.cpp.)
#include "actors/client.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "actors/crash_report.hpp"
#include "learning/random.hpp"

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

// -- asking -------------------------------------------------------------------------------------------------

void ClientState::ask_for_work() {
  if (!ready) return;  // when the trainer is prepared
  if (work == Work::idle) work = Work::asking;
  nudged = false;
  ++asks;
  self->request(session, options.request_timeout, *ready)
      .then(
          [this, now = life, ask = asks](const Assignment& answer) {
            if (now == life && ask == asks) on_assignment(answer);
          },
          [this, now = life, ask = asks](const caf::error& error) {
            if (now == life && ask == asks) disconnect(from_caf(error));
          });
}

/// There may be work.
void ClientState::on_nudge() {
  if (work == Work::asking) nudged = true;
  if (connection == Connection::connected && ready && work == Work::idle) ask_for_work();
}

/// Unless another question is asked before.
void ClientState::ask_later(std::chrono::milliseconds pause) {
  self->delayed_send(self, pause, nudge_atom_v, asks);
}

void ClientState::on_assignment(const Assignment& answer) {
  const auto same_task =
      answer.kind == Assignment::Kind::task && answer.task.id == task.id && answer.task.epoch == task.epoch;
  if (work == Work::delivering && answer.kind != Assignment::Kind::finished) {
    // Also without the lease: the server may have taken the update before we could hear of it, and then says
    // so.
    task_known = true;
    deliver();
    return;
  }
  if (work == Work::training || work == Work::delivering) {
    task_known = same_task;
    if (same_task) return;
    drop_task();  // the lease ran out while we were gone
  }
  work = Work::idle;
  switch (answer.kind) {
    case Assignment::Kind::task:
      begin(answer.task);
      break;
    case Assignment::Kind::finished:
      finish(answer.reason);
      break;
    case Assignment::Kind::wait:
      tally.state = "waiting for " + answer.reason;
      if (nudged)
        ask_for_work();
      else
        ask_later(std::chrono::milliseconds(answer.retry_after_ms));
      break;
  }
}

void ClientState::begin(const Task& given) {
  task = given;
  task_known = true;
  ++tally.tasks;
  chaos->strike_next(id, "task");
  work = Work::fetching;
  tally.state = "fetching version " + std::to_string(task.base);
  if (base && base_version == task.base)
    train();
  else
    fetch();
}

// -- fetching -----------------------------------------------------------------------------------------------

void ClientState::fetch() {
  if (options.in_process) {
    self->request(caf::actor_cast<local_session_actor>(session), options.request_timeout, fetch_atom_v,
                  task.id)
        .then(
            [this, now = life, id = task.id, epoch = task.epoch](const PublishedModelPtr& model) {
              if (now != life || work != Work::fetching || id != task.id || epoch != task.epoch) return;
              auto parameters = model->parameters();
              if (!parameters) {
                give_up_for_a_while(parameters.error());
                return;
              }
              tally.bytes_down += model->size();
              base = *parameters;
              base_version = task.base;
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
  base = nullptr;  // one model at a time
  base_version.reset();
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
    const auto passage = options.downlink->enter(self->id(), self->clock().now(), when_free());
    if (!passage) return;
    fetch_next(passage);
  }
}

void ClientState::fetch_next(const PassagePtr& passage) {
  const auto length = std::min<std::uint64_t>(passage->chunk_bytes(), task.model_bytes - *requested);
  downloading.push_back(passage);
  self->request(session, options.request_timeout, fetch_atom_v, task.id, *requested,
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
            if (!receiver->complete()) {
              fetch_more();
              return;
            }
            auto parameters = receiver->finish();
            receiver.reset();
            if (!parameters) {
              disconnect(parameters.error());
              return;
            }
            base = std::move(*parameters);
            base_version = task.base;
            train();
          },
          [this, now = life, id = task.id, epoch = task.epoch](const caf::error& error) {
            if (now == life && work == Work::fetching && id == task.id && epoch == task.epoch)
              on_fetch_failed(from_caf(error));
          });
  *requested += length;
}

void ClientState::on_fetch_failed(const Error& reason) {
  if (reason.code != ec::unknown_lease) {
    disconnect(reason);
    return;
  }
  drop_task();
  ask_for_work();
}

// -- training -----------------------------------------------------------------------------------------------

void ClientState::train() {
  work = Work::training;
  receiver.reset();
  requested.reset();
  tally.state = "training from version " + std::to_string(task.base);
  tally.last_version = task.base;
  spdlog::debug("{}: trains for task {} from version {}", options.name, task.id, task.base);
  self->request(trainer, caf::infinite, train_atom_v, task, base)
      .then(
          [this, id = task.id, epoch = task.epoch](const TrainedUpdatePtr& trained) {
            if (work == Work::training && task.id == id && task.epoch == epoch) on_trained(trained);
          },
          [this, id = task.id, epoch = task.epoch](const caf::error& error) {
            if (work != Work::training || task.id != id || task.epoch != epoch) return;
            const auto reason = from_caf(error);
            if (reason.code == ec::unreachable || reason.code == ec::cancelled)
              return;  // the trainer comes back
            if (reason.code == ec::bad_config || reason.code == ec::bad_data ||
                reason.code == ec::layout_mismatch)
              fail(reason);
            else
              give_up_for_a_while(reason);
          });
}

void ClientState::on_trained(const TrainedUpdatePtr& trained) {
  auto luck = RandomStream(stream_seed(welcome.seed, "dropout", task.client, task.id));
  if (options.dropout > 0 && luck.uniform() < options.dropout) {
    abandon("the client dropped out (clients.dropout)");
    if (connection == Connection::connected) ask_for_work();
    return;
  }
  failures = 0;
  update = trained;
  if (options.spool && (task.durable || options.spool->always()) && task.kind == TaskKind::train)
    if (auto ok = options.spool->save(welcome.run_id, *update); !ok)
      spdlog::warn("{}: the update of task {} would not outlive a crash: {}", options.name, task.id,
                   to_string(ok.error()));
  work = Work::delivering;
  tally.state = "delivering the update of task " + std::to_string(task.id);
  if (connection == Connection::connected && task_known) deliver();
}

// -- delivering ---------------------------------------------------------------------------------------------

void ClientState::deliver() {
  ++deliveries;
  if (options.in_process) {
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
  self->request(session, options.request_timeout,
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
    const auto passage = options.uplink->enter(self->id(), self->clock().now(), when_free());
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
  self->request(session, options.request_timeout, std::move(chunk))
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
  if (passage->is_of(*options.downlink)) {
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
      options.name, task.id, kReceiptNotice.count());
}

void ClientState::on_receipt(const Receipt& receipt) {
  if (work != Work::delivering || receipt.task != task.id) return;
  if (receipt.code == ec::store_full) {
    stop_transfers();
    tally.state = "waiting until the server has room";
    if (failures == 0)
      spdlog::warn("{}: the update of task {} waits: {}", options.name, task.id, receipt.text);
    self->delayed_send(self, pause_after(failures++), submit_atom_v, ++deliveries);
    return;
  }
  failures = 0;
  if (options.spool) options.spool->clear();
  if (receipt.accepted()) {
    if (task.kind == TaskKind::train) ++tally.updates_accepted;
    spdlog::log(news_level(),
                "{}: update of task {} from version {} accepted: loss {:.4f}, {:.1f} s, staleness {}",
                options.name, task.id, task.base, update->info.train_loss, update->info.train_seconds,
                receipt.staleness);
  } else {
    ++tally.updates_rejected[std::string(name_of(receipt.code))];
    spdlog::log(receipt.code == ec::run_over ? news_level() : spdlog::level::warn,
                "{}: update of task {} refused: {}: {}", options.name, task.id, name_of(receipt.code),
                receipt.text);
  }
  drop_task();
  if (connection == Connection::connected) ask_for_work();
}

// -- giving up ----------------------------------------------------------------------------------------------

void ClientState::drop_task() {
  if (work == Work::training && trainer) self->send(trainer, cancel_atom_v, task.id);
  work = Work::idle;
  update = nullptr;
  stop_transfers();
  ++deliveries;
}

void ClientState::abandon(const std::string& reason) {
  const auto given_up = task.id;
  spdlog::warn("{}: task {} given up: {}", options.name, given_up, reason);
  drop_task();
  if (connection != Connection::connected) return;
  self->send(session, abandon_atom_v, given_up, reason);
}

/// After a failure of our own: the next task may well fail too, so it is not asked for at once.
void ClientState::give_up_for_a_while(const Error& reason) {
  abandon(to_string(reason));
  ask_later(pause_after(failures++));
}

local_client_actor::behavior_type client(local_client_actor::stateful_pointer<ClientState> self,
                                         ClientOptions options, std::size_t index,
                                         std::function<LayoutPtr()> layout_of, ChaosPtr chaos,
                                         std::uint64_t seed) {
  self->state.options = std::move(options);
  self->state.index = index;
  self->state.id = "client-" + std::to_string(index);
  self->state.layout_of = std::move(layout_of);
  self->state.chaos = std::move(chaos);
  self->state.random.emplace(stream_seed(seed, "reconnect", index));
  end_with_reason_on_exception(self);
  self->set_down_handler([self](const caf::down_msg& down) {
    auto& state = self->state;
    const auto lost_session = state.session && down.source == state.session.address();
    const auto lost_gateway = state.gateway && down.source == state.gateway.address();
    if (lost_session || lost_gateway)
      state.disconnect({ec::unreachable, "the connection to the aggregator is lost"});
  });
  return {
      [self](submit_atom, std::uint64_t delivery) {
        auto& state = self->state;
        if (state.work == ClientState::Work::delivering && delivery == state.deliveries &&
            state.connection == ClientState::Connection::connected)
          state.deliver();
      },
      [self](receipt_atom, std::uint64_t delivery) { self->state.on_no_receipt_yet(delivery); },
      [self](turn_atom, const PassagePtr& passage) { self->state.on_turn(passage); },
      [self](nudge_atom) { self->state.on_nudge(); },
      [self](nudge_atom, std::uint64_t question) {
        if (question == self->state.asks) self->state.on_nudge();
      },
      [self](revoke_atom, TaskId task, const std::string& reason) {
        auto& state = self->state;
        if (state.task.id != task || state.work == ClientState::Work::idle ||
            state.work == ClientState::Work::asking)
          return;
        spdlog::log(state.news_level(), "{}: task {} is withdrawn: {}", state.options.name, task, reason);
        state.drop_task();
        if (state.connection == ClientState::Connection::connected && state.ready) state.ask_for_work();
      },
      [self](finish_atom, const std::string& reason) { self->state.finish(reason); },
      [self](status_atom) { return std::make_shared<const ClientTally>(self->state.tally); },
      [self](caf::connect_atom) { self->state.connect(); },
      [self](wire_atom, const PeersPtr& peers) { self->state.on_wire(peers); },
  };
}

}  // namespace fl
