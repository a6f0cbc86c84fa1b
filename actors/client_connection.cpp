// The client's connection: find the gateway, say hello, notice that the server is gone, come back.
#include <spdlog/spdlog.h>

#include <caf/io/middleman.hpp>
#include <set>

#include "actors/client.hpp"
#include "actors/restart_policy.hpp"

namespace fl {

namespace {

/// Share by which the pause between two attempts varies, so that a thousand clients do not come back at once.
constexpr double kJitter = 0.5;

/// Refusals that another attempt will not change.
bool is_final(ec code) {
  return code == ec::protocol_mismatch || code == ec::layout_mismatch || code == ec::hello_refused ||
         code == ec::bad_config || code == ec::bad_data;
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
    say_hello();
  } else {
    find_gateway();
  }
}

void ClientState::find_gateway() {
  const auto middleman = self->system().middleman().actor_handle();
  self->request(middleman, options.request_timeout, caf::connect_atom_v, options.host, options.port)
      .then(
          [this, now = life](const caf::node_id&, const caf::strong_actor_ptr& found,
                             const std::set<std::string>&) {
            if (now != life) return;
            if (!found) {
              disconnect({ec::unreachable,
                          "nothing is published at " + options.host + ":" + std::to_string(options.port)});
              return;
            }
            gateway = caf::actor_cast<gateway_actor>(found);
            say_hello();
          },
          [this, now = life](const caf::error& error) {
            if (now != life) return;
            disconnect({ec::unreachable, "no aggregator answers at " + options.host + ":" +
                                             std::to_string(options.port) + " (" + from_caf(error).text +
                                             ")"});
          });
}

void ClientState::say_hello() {
  // Without this, a connection that ends before the welcome would be noticed by the request's timeout only.
  self->monitor(gateway);
  const auto hello = Hello{kProtocolVersion, FL_VERSION, options.name};
  self->request(gateway, options.request_timeout, hello, caf::actor_cast<caf::actor>(self))
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
              base_version.reset();
            }
            welcome = terms;
            if (!same_terms) take_up_spooled();
            connection = Connection::connected;
            spdlog::log(news_level(), "{} is connected as client {}", options.name, terms.client);
            attempts = 0;
            down_since.reset();
            if (ready)
              on_connected();
            else
              prepare();
          },
          [this, now = life](const caf::error& error) {
            if (now != life) return;
            const auto reason = from_caf(error);
            if (is_final(reason.code))
              fail(reason);
            else
              disconnect(reason);
          });
}

/// What an earlier life of this client finished, but could not deliver.
void ClientState::take_up_spooled() {
  if (!options.spool || work != Work::idle) return;
  auto spooled = options.spool->load(welcome.run_id);
  if (!spooled || spooled->info.client != welcome.client) return;
  task = {};
  task.id = spooled->info.task;
  task.epoch = spooled->info.epoch;
  task.client = spooled->info.client;
  task.base = spooled->info.base;
  task_known = false;
  update = std::make_shared<const TrainedUpdate>(std::move(*spooled));
  work = Work::delivering;
  spdlog::info("{}: the update of task {} was finished before and is delivered now", options.name, task.id);
}

void ClientState::prepare() {
  self->request(trainer, caf::infinite, prepare_atom_v, welcome)
      .then(
          [this](const Ready& prepared) {
            ready = prepared;
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
  const auto was_connected = connection == Connection::connected;
  const auto now = self->clock().now();
  if (!down_since) down_since = now;
  ++life;
  if (session) self->demonitor(session.address());
  if (gateway) self->demonitor(gateway.address());
  session = nullptr;
  gateway = nullptr;
  task_known = false;
  connection = Connection::disconnected;
  if (work == Work::asking || work == Work::fetching) work = Work::idle;
  if (was_connected) ++tally.reconnects;
  if (options.reconnect.count() > 0 && now - *down_since >= options.reconnect) {
    fail({reason.code, reason.text + "; gave up after net.reconnect_seconds = " +
                           std::to_string(static_cast<long>(options.reconnect.count()))});
    return;
  }
  const auto pause = pause_after(attempts++);
  // Said once a loss, then with every fourth attempt: enough to see that it goes on.
  if (attempts % 4 == 1) spdlog::warn("{}: {}; trying again", options.name, reason.text);
  self->delayed_send(self, pause, caf::connect_atom_v);
}

std::chrono::milliseconds ClientState::pause_after(std::uint32_t failed_attempts) {
  return backoff(failed_attempts, options.backoff_min, options.backoff_max, kJitter, *random);
}

void ClientState::finish(const std::string& reason) {
  if (connection == Connection::finished) return;
  connection = Connection::finished;
  tally.finished = reason;
  drop_task();
  session = nullptr;
  gateway = nullptr;
  if (options.in_process) {
    peers = nullptr;
    trainer = nullptr;
    self->quit();
  } else {
    caf::anon_send(peers->node, over_atom_v, reason);
  }
}

void ClientState::fail(const Error& reason) {
  connection = Connection::finished;
  drop_task();
  caf::anon_send(peers->node, lost_atom_v, options.name + ": " + to_string(reason));
}

}  // namespace fl
