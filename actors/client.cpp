// The client's work: ask, train, give up. (Its connection is in client_connection.cpp, what it fetches and
// delivers in client_transfers.cpp.)
#include "actors/client.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "actors/crash_report.hpp"
#include "learning/random.hpp"
#include "learning/simulation/client_profile.hpp"

namespace fl {

namespace {

/// Tasks that fail one after the other until the client gives up: no later one will go better.
constexpr std::uint32_t kMaxFailures = 5;

std::string advice_on(const std::string& failure) {
  const auto of_memory =
      failure.find("bad_alloc") != std::string::npos || failure.find("allocate memory") != std::string::npos;
  return of_memory ? ". The memory does not suffice: try a smaller train.batch_size (a setting of the "
                     "aggregator), fewer clients at once in one process (client.count, simulate.workers), or "
                     "more memory"
                   : "";
}

}  // namespace

// -- asking -------------------------------------------------------------------------------------------------

void ClientState::ask_for_work() {
  if (is_of_fleet()) {
    self->quit();  // the fleet hears of it
    return;
  }
  if (!ready) return;  // when the trainer is prepared
  if (work == Work::idle) work = Work::asking;
  nudged = false;
  ++asks;
  ready->held = base ? *base_version : 0;
  ready->held_hash = base ? base_hash : 0;
  self->request(session, options->request_timeout, *ready)
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
    spdlog::log(news_level(), "{}: task {} is withdrawn: its lease ran out while the connection was lost",
                options->name, task.id);
    lose_task();
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
  if (ready && !task.standardisation.empty()) ready->moments.clear();  // the server has what it wanted
  ++tally.tasks;
  chaos->strike_next(id, "task");
  work = Work::fetching;
  tally.state = "fetching version " + std::to_string(task.base);
  if (has_base())
    train();
  else
    fetch();
}

// -- training -----------------------------------------------------------------------------------------------

void ClientState::train() {
  work = Work::training;
  receiver.reset();
  requested.reset();
  tally.state = "training from version " + std::to_string(task.base);
  tally.last_version = task.base;
  spdlog::debug("{}: trains for task {} from version {}", options->name, task.id, task.base);
  if (desk) {
    train_at_desk();
    return;
  }
  self->request(trainer, caf::infinite, train_atom_v, task, base, unsent())
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

/// Nothing here takes real time, but waiting for the pool when it is not as far as the clock.
void ClientState::train_at_desk() {
  const auto outlook = desk->begin(task, base, unsent(), self->clock().now());
  if (!outlook) {
    // No later task will go better: the fleet is to say so.
    self->quit(to_caf(outlook.error()));
    return;
  }
  drops_out = outlook->dropped;
  self->delayed_send(self, std::chrono::duration_cast<caf::timespan>(outlook->after), caf::ok_atom_v,
                     task.id);
}

void ClientState::on_desk_time(TaskId of_task) {
  if (work != Work::training || task.id != of_task) return;
  if (drops_out) {
    drop_out();
    return;
  }
  if (auto trained = desk->finish())
    on_trained(*trained);
  else
    give_up_for_a_while(trained.error());
}

void ClientState::begin_errand(const Errand& errand) {
  welcome = errand.welcome;
  session = caf::actor_cast<session_actor>(errand.session);
  connection = Connection::connected;
  self->monitor(session);
  tally.bytes_down += errand.task.model_bytes;
  set_base(errand.base, errand.task.base, errand.base_hash);
  begin(errand.task);
}

void ClientState::drop_out() {
  abandon("the client dropped out (clients.dropout)");
  if (connection == Connection::connected) ask_for_work();
}

void ClientState::on_trained(const TrainedUpdatePtr& trained) {
  if (!is_of_fleet() && gives_up_after(options->dropout, welcome.seed, task.client, task.id)) {
    drop_out();
    return;
  }
  failures = 0;
  if (trained->left_out) {
    leave_out(*trained);
    return;
  }
  update = trained;
  if (trained->residual)
    if (auto ok = options->residuals->propose(task.id, trained->residual); !ok)
      spdlog::warn("{}: what the update of task {} leaves out would not outlive a crash: {}", options->name,
                   task.id, to_string(ok.error()));
  if (options->spool && (task.durable || options->spool->always()) && task.kind == TaskKind::train)
    if (auto ok = options->spool->save(welcome.run_id, *update); !ok)
      spdlog::warn("{}: the update of task {} would not outlive a crash: {}", options->name, task.id,
                   to_string(ok.error()));
  work = Work::delivering;
  tally.state = "delivering the update of task " + std::to_string(task.id);
  const auto travels = desk ? desk->upload_time(update->blob->size()) : Seconds(0);
  if (travels.count() > 0)
    self->delayed_send(self, std::chrono::duration_cast<caf::timespan>(travels), submit_atom_v, deliveries);
  else if (connection == Connection::connected && task_known)
    deliver();
}

// -- giving up ----------------------------------------------------------------------------------------------

void ClientState::drop_task() {
  if (work == Work::training && trainer) self->send(trainer, cancel_atom_v, task.id);
  if (desk) desk->cancel();
  work = Work::idle;
  update = nullptr;
  stop_transfers();
  ++deliveries;
}

/// Too little to be worth an upload: it joins the next, and the task goes back.
void ClientState::leave_out(const TrainedUpdate& trained) {
  if (auto ok = options->residuals->replace(trained.residual); !ok)
    spdlog::warn("{}: the delta of task {} is lost: {}", options->name, task.id, to_string(ok.error()));
  const auto given_up = task.id;
  spdlog::log(news_level(),
              "{}: the delta of task {} is small and waits for the next (train.max_idle_deltas)",
              options->name, given_up);
  drop_task();
  if (connection != Connection::connected) return;
  self->send(session, abandon_atom_v, given_up, "its delta is small and joins the client's next");
  ask_for_work();
}

// -- what is left -------------------------------------------------------------------------------------------

LayoutPtr ClientState::layout() const {
  if (base) return base->layout();
  return layout_of ? layout_of() : nullptr;
}

/// What was left out of earlier updates, for the next.
ResidualPtr ClientState::unsent() {
  if (task.kind != TaskKind::train) return nullptr;
  auto residual = options->residuals->current(layout());
  if (residual) return std::move(*residual);
  spdlog::warn("{}: what earlier updates left out is lost: {}", options->name, to_string(residual.error()));
  return nullptr;
}

/// Nobody waits for the task's update any more: what it held is left for the next. (A task that is only
/// dropped, because the process or the run ends, is delivered by a later life, if it was spooled.)
void ClientState::lose_task() {
  if (update) {
    take_back_unsent();
    if (options->spool) options->spool->clear();
  }
  drop_task();
}

/// Of an update that did not arrive, all is left.
void ClientState::take_back_unsent() {
  const auto keep = [&]() -> Result<void> {
    const auto known = layout();
    const auto proposed = options->residuals->proposal(task.id, known);
    if (!proposed) return tl::unexpected(proposed.error());
    if (!*proposed) return {};
    const auto sent = locate_payload(update->blob, *known, false);
    if (!sent) return tl::unexpected(sent.error());
    const auto left = after_refusal(**proposed, *sent);
    if (!left) return tl::unexpected(left.error());
    return options->residuals->replace(*left);
  };
  if (auto ok = keep(); !ok)
    spdlog::warn("{}: what the update of task {} held is lost: {}", options->name, task.id,
                 to_string(ok.error()));
}

/// What the update left out is left from now on; of one that was refused, all of it. An offence leaves
/// nothing: it would come again.
void ClientState::settle_residual(const Receipt& receipt) {
  auto settled = Result<void>();
  if (receipt.accepted())
    settled = options->residuals->accept(task.id);
  else if (is_offence(receipt.code))
    settled = options->residuals->replace(unsent());
  else
    take_back_unsent();
  if (!settled)
    spdlog::warn("{}: what the update of task {} left out would not outlive a crash: {}", options->name,
                 task.id, to_string(settled.error()));
}

// -- giving up ----------------------------------------------------------------------------------------------

void ClientState::abandon(const std::string& reason) {
  const auto given_up = task.id;
  spdlog::log(is_of_fleet() ? spdlog::level::debug : spdlog::level::warn, "{}: task {} given up: {}",
              options->name, given_up, reason);
  lose_task();
  if (connection != Connection::connected) return;
  self->send(session, abandon_atom_v, given_up, reason);
}

/// After a failure of our own: the next task may well fail too, so it is not asked for at once, and after
/// some not at all.
void ClientState::give_up_for_a_while(const Error& reason) {
  abandon(to_string(reason));
  if (is_of_fleet())
    ask_for_work();
  else if (reason.code == ec::internal && failures + 1 >= kMaxFailures)
    fail({reason.code, reason.text + "; " + std::to_string(kMaxFailures) + " tasks in a row failed" +
                           advice_on(reason.text)});
  else
    ask_later(pause_after(failures++));
}

namespace {

local_client_actor::behavior_type behavior_of(local_client_actor::stateful_pointer<ClientState> self) {
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
      [self](begin_atom, const ErrandPtr& errand) { self->state.begin_errand(*errand); },
      [self](caf::ok_atom, TaskId task) { self->state.on_desk_time(task); },
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
        // It may have been accepted meanwhile. Its receipt tells, or the next session's.
        if (state.work == ClientState::Work::delivering && state.committed) return;
        spdlog::log(state.news_level(), "{}: task {} is withdrawn: {}", state.options->name, task, reason);
        state.lose_task();
        const auto can_ask = state.ready || state.is_of_fleet();
        if (state.connection == ClientState::Connection::connected && can_ask) state.ask_for_work();
      },
      [self](finish_atom, const std::string& reason) { self->state.finish(reason); },
      [self](status_atom) { return std::make_shared<const ClientTally>(self->state.tally); },
      [self](caf::connect_atom) { self->state.connect(); },
      [self](wire_atom, const PeersPtr& peers) { self->state.on_wire(peers); },
  };
}

}  // namespace

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
  return behavior_of(self);
}

local_client_actor::behavior_type fleet_client(local_client_actor::stateful_pointer<ClientState> self,
                                               ClientOptions options, ClientId client,
                                               std::shared_ptr<TrainingDesk> desk, ChaosPtr chaos) {
  self->state.options = std::move(options);
  self->state.index = client;
  self->state.id = "client-" + std::to_string(client);
  self->state.chaos = std::move(chaos);
  self->state.desk = std::move(desk);
  self->state.random.emplace(stream_seed(client, "fleet"));
  return behavior_of(self);
}

}  // namespace fl
