// The client's connection: find the gateway, say hello, notice that the server is gone, come back.
#include <spdlog/spdlog.h>

#include <caf/io/middleman.hpp>
#include <caf/openssl/manager.hpp>
#include <set>

#include "actors/client.hpp"
#include "actors/restart_policy.hpp"

namespace fl {

namespace {

/// Share by which the pause between two attempts varies, so that a thousand clients do not come back at once.
constexpr double kJitter = 0.5;

/// For a server to take a connection; one that speaks TLS to a client that does not stays silent.
constexpr auto kConnectTimeout = std::chrono::milliseconds(15'000);

/// Refusals that another attempt will not change.
bool is_final(ec code) {
  return code == ec::protocol_mismatch || code == ec::layout_mismatch || code == ec::hello_refused ||
         code == ec::quarantined || code == ec::bad_config || code == ec::bad_data;
}

}  // namespace

void ClientState::on_wire(const PeersPtr& handles) {
  const auto first = peers == nullptr;
  const auto new_trainer = !first && handles->trainers[index] != trainer;
  peers = handles;
  trainer = peers->trainers[index];
  if (first) {
    connect();
  } else if (new_trainer) {
    // The old one took the training with it; the task is still ours.
    ready.reset();
    if (connection == Connection::connected) prepare();
  }
}

void ClientState::connect() {
  if (connection != Connection::disconnected) return;
  connection = Connection::connecting;
  ++life;
  if (peers->gateway) {
    gateway = peers->gateway;
    introduce();
  } else {
    find_gateway();
  }
}

void ClientState::find_gateway() {
  auto& system = self->system();
  const auto middleman =
      options->tls ? system.openssl_manager().actor_handle() : system.middleman().actor_handle();
  self->request(middleman, std::min(options->request_timeout, kConnectTimeout), caf::connect_atom_v,
                options->host, options->port)
      .then(
          [this, now = life](const caf::node_id&, const caf::strong_actor_ptr& found,
                             const std::set<std::string>&) {
            if (now != life) return;
            if (!found) {
              disconnect({ec::unreachable,
                          "nothing is published at " + options->host + ":" + std::to_string(options->port)});
              return;
            }
            gateway = caf::actor_cast<gateway_actor>(found);
            introduce();
          },
          [this, now = life](const caf::error& error) {
            if (now != life) return;
            disconnect({ec::unreachable, "no aggregator answers at " + options->host + ":" +
                                             std::to_string(options->port) + " (" +
                                             why_not_reached(from_caf(error)) + ")"});
          });
}

std::string ClientState::why_not_reached(const Error& error) const {
  if (options->why_unreachable)
    if (auto why = options->why_unreachable(); !why.empty()) return why;
  return why_no_gateway(error, options->tls);
}

std::string why_no_gateway(const Error& error, bool tls) {
  const auto said_nothing =
      error.code == ec::unavailable || error.text.find("disconnect_during_handshake") != std::string::npos;
  if (said_nothing && !tls)
    return "it took the connection, but ended it without a word; an aggregator with TLS does that to a node "
           "without net.tls.*";
  if (error.text.find("connection_timeout") != std::string::npos)
    return "it took the connection, but did not answer; something else may listen there, or a firewall drops "
           "what is sent";
  return error.text;
}

/// Proves who we are before the hello, where there is something to prove.
void ClientState::introduce() {
  // Without this, a connection that ends before the welcome would be noticed by the request's timeout only.
  self->monitor(gateway);
  if (!options->identity.key && !options->identity.aggregator) {
    say_hello({});
    return;
  }
  const auto nonce = make_nonce();
  self->request(gateway, options->request_timeout, Introduction{kProtocolVersion, options->name, nonce},
                caf::actor_cast<caf::actor>(self))
      .then(
          [this, now = life, nonce](const Challenge& challenge) {
            if (now != life) return;
            if (auto proof = answer(challenge, nonce))
              say_hello(*proof);
            else
              fail(proof.error());
          },
          [this, now = life](const caf::error& error) {
            if (now == life) on_refused(from_caf(error));
          });
}

Result<Proof> ClientState::answer(const Challenge& challenge, const Nonce& nonce) const {
  const auto transcript = HelloTranscript{options->name, nonce, challenge.nonce, to_string(self->node()),
                                          to_string(gateway.node())};
  if (const auto& known = options->identity.aggregator) {
    if (challenge.key.empty())
      return fl::fail(ec::hello_refused,
                      "the aggregator proves no identity, but net.aggregator_key asks for one; it "
                      "needs its net.identity");
    if (challenge.key != known->text() ||
        !known->verifies(transcript.signed_by_server(), challenge.signature))
      return fl::fail(
          ec::hello_refused,
          "this is not the aggregator that net.aggregator_key names: its key is " + challenge.key);
  }
  if (!options->identity.key) return Proof();
  return Proof{challenge.nonce, options->identity.key->sign(transcript.signed_by_client())};
}

void ClientState::say_hello(const Proof& proof) {
  const auto hello = Hello{kProtocolVersion, FL_VERSION, options->name, proof};
  self->request(gateway, options->request_timeout, hello, caf::actor_cast<caf::actor>(self))
      .then(
          [this, now = life](const Welcome& terms, const caf::actor& given) {
            if (now != life) return;
            session = caf::actor_cast<session_actor>(given);
            self->monitor(session);
            const auto same_terms = terms.run_id == welcome.run_id && terms.client == welcome.client;
            if (!same_terms) {
              // Another run, or another part of the data: what is under way belongs to neither.
              ready.reset();
              drop_task();
              receiver.reset();
              forget_base();
            }
            welcome = terms;
            options->residuals->select(terms.run_id + "-" + std::to_string(terms.client));
            if (!same_terms) take_up_spooled();
            connection = Connection::connected;
            spdlog::log(news_level(), "{} is connected as client {}", options->name, terms.client);
            attempts = 0;
            down_since.reset();
            if (ready)
              on_connected();
            else
              prepare();
          },
          [this, now = life](const caf::error& error) {
            if (now == life) on_refused(from_caf(error));
          });
}

void ClientState::on_refused(const Error& reason) {
  if (is_final(reason.code))
    fail(reason);
  else
    disconnect(reason);
}

/// What an earlier life of this client finished, but could not deliver.
void ClientState::take_up_spooled() {
  if (!options->spool || work != Work::idle) return;
  auto spooled = options->spool->load(welcome.run_id);
  if (!spooled || spooled->info.client != welcome.client) return;
  task = {};
  task.id = spooled->info.task;
  task.epoch = spooled->info.epoch;
  task.client = spooled->info.client;
  task.base = spooled->info.base;
  task_known = false;
  update = std::make_shared<const TrainedUpdate>(std::move(*spooled));
  work = Work::delivering;
  spdlog::info("{}: the update of task {} was finished before and is delivered now", options->name, task.id);
}

void ClientState::prepare() {
  self->request(trainer, caf::infinite, prepare_atom_v, welcome)
      .then(
          [this](const Ready& prepared) {
            ready = prepared;
            if (!base && welcome.changes_only && options->initial_model)
              if (auto initial = options->initial_model(welcome.seed)) {
                const auto hash = values_hash_of(*initial);
                set_base(std::move(initial), 0, hash);
              }
            if (work == Work::training) train();
            if (connection == Connection::connected) on_connected();
          },
          [this](const caf::error& error) {
            const auto reason = from_caf(error);
            if (reason.code == ec::unreachable) return;  // the trainer crashed; a new one is wired soon
            fail(reason);
          });
}

void ClientState::on_connected() {
  switch (work) {
    case Work::idle:
    case Work::training:
    case Work::delivering:
      ask_for_work();
      break;
    case Work::asking:
    case Work::fetching:
      break;
  }
}

void ClientState::disconnect(const Error& reason) {
  if (connection == Connection::finished || connection == Connection::disconnected) return;
  if (is_of_fleet()) {
    self->quit(to_caf(reason));
    return;
  }
  const auto was_connected = connection == Connection::connected;
  const auto now = self->clock().now();
  if (!down_since) down_since = now;
  ++life;
  ++deliveries;
  stop_transfers();
  if (session) self->demonitor(session.address());
  if (gateway) self->demonitor(gateway.address());
  session = nullptr;
  gateway = nullptr;
  task_known = false;
  connection = Connection::disconnected;
  if (work == Work::asking || work == Work::fetching) work = Work::idle;
  if (was_connected) ++tally.reconnects;
  if (options->reconnect.count() > 0 && now - *down_since >= options->reconnect) {
    fail({reason.code, reason.text + "; gave up after net.reconnect_seconds = " +
                           std::to_string(static_cast<long>(options->reconnect.count()))});
    return;
  }
  const auto pause = pause_after(attempts++);
  // Said once a loss, then with every fourth attempt: enough to see that it goes on.
  if (attempts % 4 == 1) spdlog::warn("{}: {}; trying again", options->name, reason.text);
  self->delayed_send(self, pause, caf::connect_atom_v);
}

std::chrono::milliseconds ClientState::pause_after(std::uint32_t failed_attempts) {
  return backoff(failed_attempts, options->backoff_min, options->backoff_max, kJitter, *random);
}

void ClientState::finish(const std::string& reason) {
  if (connection == Connection::finished) return;
  connection = Connection::finished;
  tally.finished = reason;
  drop_task();
  session = nullptr;
  gateway = nullptr;
  if (options->in_process) {
    peers = nullptr;
    trainer = nullptr;
    self->quit();
  } else {
    caf::anon_send(peers->node, over_atom_v, reason);
  }
}

void ClientState::fail(const Error& reason) {
  if (options->in_process && reason.code == ec::quarantined) {
    // One bad client of a simulation costs the others nothing.
    spdlog::error("{}", reason.text);
    finish(reason.text);
    return;
  }
  connection = Connection::finished;
  drop_task();
  caf::anon_send(peers->node, lost_atom_v, options->name + ": " + to_string(reason));
}

}  // namespace fl
