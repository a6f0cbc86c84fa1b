#include "actors/supervisor.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "actors/crash_report.hpp"

namespace fl {

namespace {

bool ended_normally(const caf::error& reason) {
  return !reason || reason == caf::exit_reason::normal || reason == caf::exit_reason::user_shutdown;
}

std::string seconds_text(Seconds seconds) {
  return std::to_string(static_cast<long>(seconds.count())) + " s";
}

}  // namespace

void SupervisorState::start(Child& child) {
  child.actor = child.spec.start(self->system());
  self->monitor(child.actor);
  if (child.spec.enter) child.spec.enter(peers, child.actor);
}

void SupervisorState::wire_all() {
  const auto handles = PeersPtr(std::make_shared<const Peers>(peers));
  for (const auto& child : children)
    if (child.spec.wired && child.actor) caf::anon_send(child.actor, wire_atom_v, handles);
  if (peers.node) caf::anon_send(peers.node, wire_atom_v, handles);
}

void SupervisorState::on_down(const caf::down_msg& down) {
  const auto found = std::find_if(children.begin(), children.end(), [&](const auto& child) {
    return child.actor && child.actor == down.source;
  });
  if (found == children.end()) return;
  found->actor = nullptr;
  if (peers.metrics && peers.metrics.address() == down.source) metrics_down = true;
  if (stopping)
    stop_next();
  else if (!ended_normally(down.reason))
    on_crash(*found, from_caf(down.reason).text);
}

void SupervisorState::on_crash(Child& child, const std::string& why) {
  const auto wait = child.policy.crashed(self->clock().now());
  if (!wait) {
    const auto reason = child.spec.id + " crashed more than " + std::to_string(options.max_restarts) +
                        " times within " + seconds_text(options.period) + "; the last time: " + why;
    spdlog::error("{}", reason);
    caf::anon_send(peers.node, lost_atom_v, reason);
    return;
  }
  spdlog::warn("{} crashed ({}); restarting it in {} ms", child.spec.id, why, wait->count());
  self->delayed_send(self, *wait, restart_atom_v, child.spec.id);
}

void SupervisorState::restart(const std::string& id) {
  if (stopping) return;
  const auto found =
      std::find_if(children.begin(), children.end(), [&](const auto& child) { return child.spec.id == id; });
  if (found == children.end() || found->actor) return;
  const auto metrics_before = peers.metrics;
  try {
    start(*found);
  } catch (const std::exception& error) {
    // A port that is taken, say: like a crash, for what is not there now may be in a moment.
    on_crash(*found, error.what());
    return;
  }
  if (peers.metrics != metrics_before) metrics_down = false;
  wire_all();
  untold.push_back(id);
  if (peers.metrics && !metrics_down)
    for (const auto& restarted : std::exchange(untold, {}))
      self->send(peers.metrics, restart_atom_v, restarted);
  spdlog::info("{} is back", id);
}

void SupervisorState::stop_next() {
  while (stop_index > 0 && !children[stop_index - 1].actor) --stop_index;
  if (stop_index == 0) {
    peers = {};
    stopped.deliver(true);
    self->quit();
    return;
  }
  const auto& child = children[stop_index - 1];
  self->send_exit(child.actor, caf::exit_reason::user_shutdown);
  self->delayed_send(self, options.grace, stop_atom_v, child.spec.id);
}

supervisor_actor::behavior_type supervisor(supervisor_actor::stateful_pointer<SupervisorState> self,
                                           SupervisionOptions options, std::vector<ChildSpec> children,
                                           Peers peers, std::uint64_t seed) {
  self->state.self = self;
  self->state.options = options;
  self->state.peers = std::move(peers);
  for (auto& spec : children) {
    auto policy = RestartPolicy(options, stream_seed(seed, "restart", self->state.children.size()));
    self->state.children.push_back({std::move(spec), std::move(policy), nullptr});
  }
  end_with_reason_on_exception(self);
  self->set_down_handler([self](const caf::down_msg& down) { self->state.on_down(down); });
  return {
      [self](begin_atom) {
        for (auto& child : self->state.children) self->state.start(child);
        self->state.wire_all();
        return true;
      },
      [self](restart_atom, const std::string& id) { self->state.restart(id); },
      [self](stop_atom) {
        auto& state = self->state;
        state.stopped = self->make_response_promise<bool>();
        state.stopping = true;
        state.stop_index = state.children.size();
        state.stop_next();
        return state.stopped;
      },
      [self](stop_atom, const std::string& id) {
        auto& state = self->state;
        if (state.stop_index == 0 || state.children[state.stop_index - 1].spec.id != id) return;
        spdlog::warn("{} did not stop within {} ms and is killed", id, state.options.grace.count());
        self->send_exit(state.children[state.stop_index - 1].actor, caf::exit_reason::kill);
      },
  };
}

}  // namespace fl
