#include "actors/scheduler.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "actors/crash_report.hpp"

namespace fl {

SchedulerState::SchedulerState(scheduler_actor::pointer actor) : self(actor), book({}, 0) {}

LeaseBook::TimePoint SchedulerState::now() const {
  return self->clock().now();
}

void SchedulerState::carry_out() {
  const auto effects = book.take_effects();
  for (const auto& lost : effects.voided) {
    // Of a client that loses one task after the other, some lines say it.
    const auto in_fleet = fleet_ready.contains(lost.client);
    const auto news = !book.finished() && !lost.superseded && !in_fleet;
    if (const auto others = news ? losses[lost.client].next(now()) : std::nullopt)
      spdlog::info("task {} of client {} is lost: {}{}", lost.task, lost.client, lost.reason, *others);
    if (const auto session = sessions.find(lost.client); session != sessions.end())
      self->send(session->second, revoke_atom_v, lost.task, lost.reason);
    else if (in_fleet)
      self->send(fleet, revoke_atom_v, lost.client, lost.task, lost.reason);
    if (lost.was_cohort) self->send(peers->aggregator, lost_atom_v, lost.work);
  }
  if (effects.live) {
    self->send(peers->aggregator, live_atom_v, *effects.live);
    self->send(peers->evaluator, live_atom_v, *effects.live);
  }
  if (effects.cohort) self->send(peers->aggregator, cohort_atom_v, effects.cohort);
  if (memory.open_leases)
    for (const auto& lease : effects.given)
      self->send(peers->checkpointer, lease_atom_v, lease->assignment.task);
  if (effects.first_lease) self->send(peers->metrics, begin_atom_v);
  auto willing = std::vector<ClientId>();
  for (const auto client : effects.nudge)
    if (const auto session = sessions.find(client); session != sessions.end())
      self->send(session->second, nudge_atom_v);
    else
      willing.push_back(client);
  if (!willing.empty()) {
    offer(std::move(willing));
    return;  // which came here again
  }

  memory.board->show(book.roster(now()), now());
  if (const auto next = book.next_tick(); next && (!tick_at || *next < *tick_at)) {
    tick_at = *next;
    const auto wait = std::max(std::chrono::duration_cast<std::chrono::milliseconds>(*next - now()),
                               std::chrono::milliseconds(0));
    self->delayed_send(self, wait + std::chrono::milliseconds(1), caf::tick_atom_v);
  }
}

void SchedulerState::save_measures() {
  saved_at = now();
  if (memory.measures)
    self->send(peers->checkpointer, save_atom_v, std::make_shared<const MeasuresTable>(book.measures()));
}

void SchedulerState::attend(const Attendance& attendance) {
  for (const auto& arrival : attendance.came) {
    fleet_ready[arrival.client] = arrival.ready;
    book.join(arrival.client, arrival.lease, now(), &arrival.ready);
  }
  for (const auto client : attendance.went) book.leave(client, now());
  carry_out();
  for (const auto client : attendance.went) fleet_ready.erase(client);
}

void SchedulerState::offer(std::vector<ClientId> clients) {
  auto leases = std::vector<LeasePtr>();
  for (const auto client : clients) {
    const auto ready = fleet_ready.find(client);
    if (ready == fleet_ready.end()) continue;
    auto lease = book.lease(client, ready->second, now());
    if (lease->assignment.kind != Assignment::Kind::task) continue;
    chaos->strike_next("scheduler", "lease");
    leases.push_back(std::move(lease));
  }
  if (!leases.empty())
    self->send(fleet, lease_atom_v, std::make_shared<const std::vector<LeasePtr>>(std::move(leases)));
  carry_out();
}

void SchedulerState::on_down(const caf::down_msg& down) {
  // A session that was replaced by a newer one of the same client is not found.
  const auto found = std::find_if(sessions.begin(), sessions.end(),
                                  [&](const auto& entry) { return entry.second.address() == down.source; });
  if (found == sessions.end()) return;
  const auto client = found->first;
  sessions.erase(found);
  book.leave(client, now());
  carry_out();
}

scheduler_actor::behavior_type scheduler(scheduler_actor::stateful_pointer<SchedulerState> self,
                                         SchedulerOptions options, SchedulerMemory memory, ChaosPtr chaos) {
  self->state.book = LeaseBook(std::move(options), memory.next_epoch(),
                               memory.measures ? memory.measures() : MeasuresTable());
  if (memory.open_leases)
    for (const auto& task : memory.open_leases()) self->state.book.hold(task, self->state.now());
  self->state.memory = std::move(memory);
  self->state.chaos = std::move(chaos);
  end_with_reason_on_exception(self);
  self->set_down_handler([self](const caf::down_msg& down) { self->state.on_down(down); });
  return {
      [self](join_atom, ClientId client, const caf::actor& session, const LeasePtr& lease) {
        auto& state = self->state;
        self->monitor(session);
        state.sessions[client] = caf::actor_cast<local_session_actor>(session);
        state.book.join(client, lease, state.now());
        state.carry_out();
      },
      [self](join_atom, const AttendancePtr& attendance, const caf::actor& fleet) {
        self->state.fleet = caf::actor_cast<fleet_actor>(fleet);
        self->state.attend(*attendance);
      },
      [self](lease_atom, ClientId client, const Ready& ready) {
        auto& state = self->state;
        auto lease = state.book.lease(client, ready, state.now());
        if (lease->assignment.kind == Assignment::Kind::task) state.chaos->strike_next("scheduler", "lease");
        state.carry_out();
        return lease;
      },
      [self](caf::leave_atom, ClientId client, const std::string& reason) {
        self->state.book.dismiss(client, reason, self->state.now());
        self->state.carry_out();
      },
      [self](fetch_atom, ClientId client, TaskId task) { self->state.book.fetched(client, task); },
      [self](settle_atom, ClientId client, TaskId task) {
        self->state.book.settle(client, task, self->state.now());
        self->state.carry_out();
      },
      [self](settle_atom, ClientId client, TaskId task, const TaskAnswer& answer) {
        self->state.book.settle(client, task, self->state.now(), answer);
        self->state.carry_out();
      },
      [self](lost_atom, ClientId client, TaskId task, const std::string& reason) {
        self->state.book.lose(client, task, reason, self->state.now());
        self->state.carry_out();
      },
      [self](status_atom, std::uint64_t most) {
        return std::make_shared<const Whereabouts>(
            self->state.book.whereabouts(static_cast<std::size_t>(most), self->state.now()));
      },
      [self](want_atom, std::uint64_t updates) {
        self->state.book.want(updates, self->state.now());
        self->state.carry_out();
      },
      [self](publish_atom, const PublicationPtr& publication) {
        auto& state = self->state;
        const auto epoch = publication->anew ? state.memory.next_epoch() : Epoch{0};
        state.book.publish(publication->model, publication->next_task, publication->anew, epoch, state.now());
        state.carry_out();
        const auto every = state.memory.save_every;
        if (every.count() > 0 && (!state.saved_at || state.now() - *state.saved_at >= every))
          state.save_measures();
      },
      [self](finish_atom, const std::string& reason, const PublicationPtr& last) {
        auto& state = self->state;
        const auto answers = state.book.finish(reason, last ? last->model : nullptr, state.now());
        state.save_measures();
        state.carry_out();
        for (const auto& [client, session] : state.sessions) {
          if (last)
            self->send(session, nudge_atom_v);
          else
            self->send(session, finish_atom_v, reason);
        }
        if (state.fleet && last) {
          auto all = std::vector<ClientId>();
          for (const auto& [client, ready] : state.fleet_ready) all.push_back(client);
          std::ranges::sort(all);
          state.offer(std::move(all));
        } else if (state.fleet) {
          self->send(state.fleet, finish_atom_v, reason);
        }
        return answers;
      },
      [self](caf::tick_atom) {
        // One that an earlier one overtook is not to become a chain of its own.
        if (self->state.tick_at && self->state.now() < *self->state.tick_at) return;
        self->state.tick_at.reset();
        self->state.book.tick(self->state.now());
        self->state.carry_out();
      },
      [self](wire_atom, const PeersPtr& peers) {
        self->state.peers = peers;
        // Whoever was restarted has forgotten it.
        if (const auto live = self->state.book.live(); live > 0) {
          self->send(peers->aggregator, live_atom_v, live);
          self->send(peers->evaluator, live_atom_v, live);
        }
        self->state.carry_out();
      },
  };
}

}  // namespace fl
