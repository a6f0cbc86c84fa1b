#include "actors/gateway.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>

#include "actors/crash_report.hpp"

namespace fl {

namespace {

/// A client says hello once a connection.
constexpr double kHellosPerSecond = 5;

/// A peer can leave the handle of its actor empty.
Error nobody() {
  return {ec::hello_refused, "the message does not say which actor it comes from"};
}

Result<void> check_protocol(std::uint32_t version) {
  if (version == kProtocolVersion) return {};
  return fail(ec::protocol_mismatch, "the client speaks protocol " + std::to_string(version) +
                                         ", the server " + std::to_string(kProtocolVersion) +
                                         "; run the same release on both");
}

}  // namespace

/// Refuses who is quarantined, is here already under another name, or says hello over and over; else returns
/// the count of this client's hellos.
Result<FloodGuard> GatewayState::check_conduct(const Hello& hello, const caf::actor& client) {
  const auto refuse = [&](Error error) {
    if (strike(*session->storage, hello.name, session->conduct, error))
      for (const auto& [id, entry] : connected)
        if (entry.client_name == hello.name) {
          self->send(peers->scheduler, caf::leave_atom_v, id, to_string(error));
          self->send_exit(entry.session, caf::exit_reason::user_shutdown);
        }
    log_refusal("the hello of " + hello.name + " is refused: " + to_string(error));
    return tl::unexpected(error);
  };
  if (auto ok = check_quarantine(*session->storage, hello.name); !ok) {
    if (ok.error().code == ec::quarantined) turn_away(hello.name);
    return refuse(ok.error());
  }
  turned_away.erase(hello.name);
  for (auto& [id, entry] : connected) {
    if (entry.client != client.address()) continue;
    if (entry.client_name != hello.name)
      return refuse({ec::hello_refused, "this client is here already as " + entry.client_name});
    switch (entry.hellos.request(self->clock().now())) {
      case FloodGuard::Verdict::pass:
        return entry.hellos;
      case FloodGuard::Verdict::refuse:
        return fail(ec::flood, "one hello after the other");
      case FloodGuard::Verdict::offence:
        return refuse({ec::flood, "one hello after the other"});
    }
  }
  return FloodGuard(kHellosPerSecond);
}

/// When it is the last one, the run would wait for ever without a word.
void GatewayState::turn_away(const std::string& client) {
  const auto is_new = turned_away.insert(client).second;
  const auto others = std::ranges::any_of(
      connected, [this](const auto& entry) { return !turned_away.contains(entry.second.client_name); });
  if (!is_new || others || turned_away.size() != terms.clients_count) return;
  spdlog::warn(
      "all {} clients are quarantined: nobody trains until one is pardoned (fl_actor_node pardon RUN_DIR "
      "NAME) and started again; clients of a simulation start again with --resume",
      turned_away.size());
}

/// Who comes again and again does not fill the log.
void GatewayState::log_refusal(const std::string& text) {
  if (const auto others = refusals.next(self->clock().now())) spdlog::warn("{}{}", text, *others);
}

caf::result<Welcome, caf::actor> GatewayState::welcome(const Hello& hello, const caf::actor& client) {
  session->chaos->strike_next("gateway", "hello");
  if (!peers) return to_caf({ec::unavailable, "the server is starting"});
  if (!client) return to_caf(nobody());
  if (auto ok = check_protocol(hello.protocol_version); !ok) return to_caf(ok.error());
  if (!is_client_name(hello.name))
    return to_caf(
        {ec::hello_refused,
         "a client's name has 1 to 64 letters, digits, '.', '_' or '-', and does not begin with '.' or '-'; "
         "choose another with --name"});
  if (auto ok = admission.admit(hello.name, hello.proof, ends_of(client), self->clock().now()); !ok) {
    log_refusal(hello.name + " is refused: " + ok.error().text);
    return to_caf(ok.error());
  }
  const auto hellos = check_conduct(hello, client);
  if (!hellos) return to_caf(hellos.error());
  auto here = std::set<ClientId>();
  for (const auto& [id, entry] : connected) {
    here.insert(id);
    if (entry.client_name == hello.name && entry.client != client.address())
      return to_caf(
          {ec::unavailable, "a client named " + hello.name +
                                " is connected already; choose another --name, or wait until the server has "
                                "noticed that it is gone"});
  }
  const auto id = session->storage->bind_client(hello.name, terms.clients_count, here);
  if (!id) return to_caf(id.error());
  if (const auto old = connected.find(*id); old != connected.end()) {
    self->send_exit(old->second.session, caf::exit_reason::user_shutdown);
    connected.erase(old);
  }
  auto spawned =
      self->system().spawn(fl::session, session, *id, hello.name, caf::actor_cast<client_actor>(client),
                           caf::actor_cast<caf::actor>(self), peers);
  self->monitor(spawned);
  connected.insert_or_assign(
      *id, Connected{hello.name, spawned, client.address(), admission.key_of(hello.name), *hellos});
  auto welcome = terms;
  welcome.client = *id;
  spdlog::debug("{} joins as client {} ({})", hello.name, *id, hello.software_version);
  return {welcome, caf::actor_cast<caf::actor>(spawned)};
}

void GatewayState::on_down(const caf::down_msg& down) {
  const auto found = std::find_if(connected.begin(), connected.end(), [&](const auto& entry) {
    return entry.second.session.address() == down.source;
  });
  if (found == connected.end()) return;
  const auto session_name = "session-" + std::to_string(found->first);
  if (down.reason && down.reason != caf::exit_reason::user_shutdown) {
    spdlog::warn("{} of {} crashed ({}); the client will come back", session_name, found->second.client_name,
                 from_caf(down.reason).text);
    self->send(peers->metrics, restart_atom_v, session_name);
  } else {
    spdlog::debug("{} has left", found->second.client_name);
  }
  connected.erase(found);
}

Admission::Ends GatewayState::ends_of(const caf::actor& client) const {
  return {to_string(client.address()), to_string(client.node()), to_string(self->node())};
}

/// Whose key is not on the list any more is sent away; the refusal of its next hello says why.
void GatewayState::allow(const AllowListPtr& allowed) {
  admission.allow(allowed);
  for (const auto& [id, entry] : connected) {
    if (admission.still_allowed(entry.client_name, entry.key)) continue;
    spdlog::warn("{} is not on the allow list any more: its session ends", entry.client_name);
    self->send_exit(entry.session, caf::exit_reason::user_shutdown);
  }
}

gateway_actor::behavior_type gateway(gateway_actor::stateful_pointer<GatewayState> self, Welcome terms,
                                     SessionOptions session, AdmissionOptions admission) {
  self->state.terms = std::move(terms);
  self->state.admission = Admission(std::move(admission));
  self->state.session = std::make_shared<const SessionOptions>(std::move(session));
  end_with_reason_on_exception(self);
  self->set_default_handler(caf::drop);  // what is no message of the protocol leaves no line in the log
  self->set_down_handler([self](const caf::down_msg& down) { self->state.on_down(down); });
  return {
      [self](const Introduction& introduction, const caf::actor& client) -> caf::result<Challenge> {
        auto& state = self->state;
        if (!client) return to_caf(nobody());
        if (auto ok = check_protocol(introduction.protocol_version); !ok) return to_caf(ok.error());
        auto challenge = state.admission.challenge(introduction, state.ends_of(client), self->clock().now());
        if (!challenge) return to_caf(challenge.error());
        return std::move(*challenge);
      },
      [self](const Hello& hello, const caf::actor& client) { return self->state.welcome(hello, client); },
      [self](status_atom) -> caf::result<RunStatus> {
        if (!self->state.peers) return to_caf({ec::unavailable, "the server is starting"});
        return self->delegate(self->state.peers->metrics, status_atom_v);
      },
      [self](stop_atom, const Proof& proof, const caf::actor& owner) -> caf::result<std::string> {
        auto& state = self->state;
        if (!state.peers) return to_caf({ec::unavailable, "the server is starting"});
        if (!owner) return to_caf(nobody());
        if (auto ok = state.admission.admit_owner(proof, state.ends_of(owner), self->clock().now()); !ok) {
          state.log_refusal("somebody may not stop the run: " + ok.error().text);
          return to_caf(ok.error());
        }
        caf::anon_send(self->state.peers->node, stop_atom_v);
        return std::string("the run is being drained and saved; go on later with --resume");
      },
      [self](const AllowListPtr& allowed) { self->state.allow(allowed); },
      [self](wire_atom, const PeersPtr& peers) {
        self->state.peers = peers;
        for (const auto& [id, entry] : self->state.connected) self->send(entry.session, wire_atom_v, peers);
      },
  };
}

}  // namespace fl
