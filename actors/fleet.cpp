#include "actors/fleet.hpp"

#include <spdlog/spdlog.h>

#include <utility>

#include "actors/client.hpp"
#include "actors/crash_report.hpp"

namespace fl {

namespace {

/// What no later task of the same client will change.
bool ends_the_run(ec code) {
  return code == ec::bad_config || code == ec::bad_data || code == ec::layout_mismatch;
}

}  // namespace

FleetState::~FleetState() {
  for (const auto& [client, one] : active) {
    caf::anon_send_exit(one.session, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(one.client, caf::exit_reason::user_shutdown);
  }
}

double FleetState::time_s() const {
  return (options.time_before + Seconds(self->clock().now() - begun)).count();
}

void FleetState::on_wire(const PeersPtr& handles) {
  const auto first = peers == nullptr;
  const auto new_scheduler = !first && handles->scheduler != peers->scheduler;
  peers = handles;
  for (const auto& [client, one] : active) self->send(one.session, wire_atom_v, peers);
  if (first) {
    begun = self->clock().now();
    online.resize(options.profiles.size());
    const auto now = time_s();
    for (auto client = ClientId{0}; client < online.size(); ++client) {
      const auto& availability = options.profiles[client].availability;
      online[client] = !availability || availability->online_at(now);
      schedule_change(client, now);
    }
    come_and_go();
  }
  if (first || new_scheduler) attend();
}

void FleetState::schedule_change(ClientId client, double after_s) {
  const auto& availability = options.profiles[client].availability;
  if (!availability) return;
  if (const auto next = availability->next_change(after_s)) changes.push({next->at_s, client, next->online});
}

/// Tells the scheduler of all who are there.
void FleetState::attend() {
  auto attendance = Attendance();
  for (auto client = ClientId{0}; client < online.size(); ++client) {
    if (!online[client]) continue;
    const auto found = active.find(client);
    attendance.came.push_back(
        {client, options.ready(client), found == active.end() ? nullptr : found->second.lease});
  }
  tell(std::move(attendance));
}

void FleetState::tell(Attendance attendance) {
  self->send(peers->scheduler, join_atom_v, std::make_shared<const Attendance>(std::move(attendance)),
             caf::actor_cast<caf::actor>(self));
}

/// Devices whose time has come; then sets the timer for the next.
void FleetState::come_and_go() {
  auto attendance = Attendance();
  while (!changes.empty() && changes.top().at_s <= time_s()) {
    const auto change = changes.top();
    changes.pop();
    online[change.client] = change.online;
    schedule_change(change.client, change.at_s);
    if (change.online) {
      attendance.came.push_back({change.client, options.ready(change.client)});
      continue;
    }
    attendance.went.push_back(change.client);
    early.erase(change.client);
    const auto found = active.find(change.client);
    if (found == active.end()) continue;
    self->send_exit(found->second.session, caf::exit_reason::user_shutdown);
    self->send_exit(found->second.client, caf::exit_reason::user_shutdown);
  }
  if (!attendance.came.empty() || !attendance.went.empty()) tell(std::move(attendance));
  if (changes.empty() || over) return;
  const auto wait = std::max(Seconds(changes.top().at_s - time_s()), Seconds(0));
  // Rounded up, so that the time has come when the timer says so.
  self->delayed_send(self, std::chrono::ceil<caf::timespan>(wait) + caf::timespan(1), caf::tick_atom_v);
}

void FleetState::begin(const LeasePtr& lease) {
  auto task = lease->assignment.task;
  const auto client = task.client;
  if (over || !online[client]) return;  // it went while the lease was on its way
  if (const auto found = active.find(client); found != active.end()) {
    if (found->second.lease->assignment.task.id != task.id) early[client] = lease;
    return;
  }
  auto& row = (*rows)[client];
  auto base = ParametersPtr();
  if (lease->model) {
    auto parameters = lease->model->parameters();
    auto download =
        prepare_download(*options.session->downloads, lease->model, row.held, row.held_hash, task);
    if (!parameters || !download) {
      lose(client, task, to_string(parameters ? download.error() : parameters.error()));
      return;
    }
    base = std::move(*parameters);
    row.held = task.base;
    row.held_hash = task.base_hash;
    options.session->board->add_down(task.model_bytes);
  } else {
    lose(client, task, "version " + std::to_string(task.base) + " is gone");
    return;
  }

  auto own = options.client;
  own.name = "client-" + std::to_string(client);
  if (!row.residuals && options.keeps_residuals) row.residuals = std::make_shared<MemoryResiduals>();
  if (row.residuals) own.residuals = row.residuals;
  auto means = options.means(client);
  auto member = FleetMember{client,
                            own.name,
                            {},
                            std::make_shared<const Lease>(Lease{lease->assignment, nullptr}),
                            means.data ? means.data->size() : 1,
                            means.validation ? means.validation->size() : 0,
                            self->clock().now()};
  auto desk = std::make_shared<TrainingDesk>(options.desk, std::move(means), options.profiles[client]);
  auto one = Active();
  one.lease = member.lease;
  one.client =
      self->spawn<caf::monitored + caf::lazy_init>(fleet_client, std::move(own), client, desk, options.chaos);
  member.handle = one.client;
  one.session = self->spawn<caf::lazy_init>(fleet_session, options.session, std::move(member), peers);
  auto errand = Errand{std::move(task), options.terms, std::move(base), row.held_hash,
                       caf::actor_cast<caf::actor>(one.session)};
  errand.welcome.client = client;
  self->send(one.client, begin_atom_v, std::make_shared<const Errand>(std::move(errand)));
  clients[one.client.id()] = client;
  active.emplace(client, std::move(one));
}

/// A client has done its errand, or crashed.
void FleetState::on_down(const caf::down_msg& down) {
  const auto found = clients.find(down.source.id());
  if (found == clients.end()) return;
  const auto client = found->second;
  clients.erase(found);
  const auto ended = active.extract(client);
  if (down.reason && down.reason != caf::exit_reason::user_shutdown) {
    const auto reason = from_caf(down.reason);
    self->send_exit(ended.mapped().session, caf::exit_reason::user_shutdown);
    if (ends_the_run(reason.code)) {
      caf::anon_send(peers->node, lost_atom_v, "client-" + std::to_string(client) + ": " + to_string(reason));
      return;
    }
    spdlog::warn("client-{} crashed ({}); its task is lost", client, reason.text);
    self->send(peers->metrics, restart_atom_v, "client-" + std::to_string(client));
    lose(client, ended.mapped().lease->assignment.task, "the client crashed: " + reason.text);
  }
  if (const auto next = early.extract(client)) begin(next.mapped());
}

void FleetState::lose(ClientId client, const Task& task, const std::string& reason) {
  self->send(peers->scheduler, lost_atom_v, client, task.id, reason);
}

fleet_actor::behavior_type fleet(fleet_actor::stateful_pointer<FleetState> self, FleetOptions options,
                                 FleetRows rows) {
  self->state.options = std::move(options);
  self->state.rows = std::move(rows);
  end_with_reason_on_exception(self);
  self->set_down_handler([self](const caf::down_msg& down) { self->state.on_down(down); });
  return {
      [self](lease_atom, const LeasesPtr& leases) {
        for (const auto& lease : *leases) self->state.begin(lease);
      },
      [self](revoke_atom, ClientId client, TaskId task, const std::string& reason) {
        auto& state = self->state;
        const auto waits = state.early.find(client);
        if (waits != state.early.end() && waits->second->assignment.task.id == task) state.early.erase(waits);
        const auto found = state.active.find(client);
        if (found != state.active.end() && found->second.lease->assignment.task.id == task)
          self->send(found->second.session, revoke_atom_v, task, reason);
      },
      [self](finish_atom, const std::string&) {
        auto& state = self->state;
        state.over = true;
        state.early.clear();
      },
      [self](caf::tick_atom) { self->state.come_and_go(); },
      [self](wire_atom, const PeersPtr& peers) { self->state.on_wire(peers); },
  };
}

}  // namespace fl
