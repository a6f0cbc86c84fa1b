#include "actors/gateway.hpp"

#include <doctest/doctest.h>

#include "tests/support/session_fixture.hpp"

using namespace fl;

namespace {

struct Fixture {
  test::VirtualTime time;
  test::Neighbours neighbours{time};
  std::shared_ptr<test::MemoryStorage> storage = std::make_shared<test::MemoryStorage>();
  SessionOptions sessions;
  gateway_actor actor;

  explicit Fixture(std::vector<std::string> crashes = {}) {
    sessions.layout = test::small_layout();
    sessions.storage = storage;
    sessions.chaos = Chaos::parse(crashes).value();
    auto terms = Welcome();
    terms.run_id = "run";
    terms.clients_count = 2;
    actor = time.spawn(gateway, terms, sessions);
    neighbours.peers.gateway = actor;
  }
  void wire() { time.tell(actor, wire_atom_v, neighbours.handles()); }

  struct Client {
    client_actor actor;
    std::shared_ptr<test::ClientLog> log;
  };
  Client client() {
    auto log = std::make_shared<test::ClientLog>();
    return {time.spawn(test::listening_client, log), log};
  }

  /// The session that a hello leads to, or why not.
  Result<std::pair<Welcome, caf::actor>> hello(const std::string& name, const Client& client,
                                               std::uint32_t protocol = kProtocolVersion) {
    auto answer =
        std::make_shared<Result<std::pair<Welcome, caf::actor>>>(fail(ec::internal, "there was no answer"));
    time.spawn([=, this](caf::event_based_actor* self) {
      self->request(actor, caf::infinite, Hello{protocol, "test", name},
                    caf::actor_cast<caf::actor>(client.actor))
          .then([=](const Welcome& terms, const caf::actor& session) { *answer = std::pair(terms, session); },
                [=](const caf::error& error) { *answer = tl::unexpected(from_caf(error)); });
    });
    time.settle();
    return *answer;
  }
};

}  // namespace

TEST_CASE("a client is welcomed with the terms, its index and a session of its own") {
  auto fixture = Fixture();
  fixture.wire();
  const auto first = fixture.hello("ward-1", fixture.client());
  REQUIRE(first);
  CHECK(first->first.run_id == "run");
  CHECK(first->first.client == 0);
  const auto second = fixture.hello("ward-2", fixture.client());
  REQUIRE(second);
  CHECK(second->first.client == 1);
  CHECK(second->second != first->second);
  CHECK(fixture.neighbours.scheduler->joins.size() == 2);
}

TEST_CASE("who cannot take part is told why") {
  auto fixture = Fixture();
  CHECK(fixture.hello("ward-1", fixture.client()).error().code == ec::unavailable);  // not wired yet
  CHECK(fixture.time.ask<RunStatus>(fixture.actor, status_atom_v).error().code == ec::unavailable);
  CHECK(fixture.time.ask<std::string>(fixture.actor, stop_atom_v).error().code == ec::unavailable);
  fixture.wire();
  CHECK(fixture.hello("ward-1", fixture.client(), kProtocolVersion + 1).error().code ==
        ec::protocol_mismatch);
  for (const auto& name :
       {std::string(), std::string("a b"), std::string("../x"), std::string(65, 'a'), std::string("é")})
    CHECK(fixture.hello(name, fixture.client()).error().code == ec::hello_refused);
  CHECK(fixture.hello(std::string(64, 'a'), fixture.client()));
  CHECK(fixture.hello("A-b_c.9", fixture.client()));
  CHECK(fixture.hello("third", fixture.client()).error().code == ec::hello_refused);  // no place is free
}

TEST_CASE("a name that is in use is refused until its client is gone") {
  auto fixture = Fixture();
  fixture.wire();
  const auto client = fixture.client();
  REQUIRE(fixture.hello("ward-1", client));
  CHECK(fixture.hello("ward-1", fixture.client()).error().code == ec::unavailable);
  fixture.time.end(client.actor, caf::exit_reason::kill);
  const auto again = fixture.hello("ward-1", fixture.client());
  REQUIRE(again);
  CHECK(again->first.client == 0);
  CHECK(fixture.neighbours.metrics->restarts.empty());
}

TEST_CASE("a client that says hello again gets a new session; the old one ends") {
  auto fixture = Fixture();
  fixture.wire();
  const auto client = fixture.client();
  const auto first = fixture.hello("ward-1", client);
  REQUIRE(first);
  const auto end = fixture.time.end_of(first->second);
  const auto second = fixture.hello("ward-1", client);
  REQUIRE(second);
  CHECK(end->has_value());
  CHECK(second->first.client == first->first.client);
  fixture.time.tell(second->second, nudge_atom_v);
  CHECK(client.log->nudges == 1);
}

TEST_CASE("a session that crashes is counted, and its name is free again") {
  auto fixture = Fixture({"session-0@update=1"});
  fixture.wire();
  const auto client = fixture.client();
  const auto session = fixture.hello("ward-1", client);
  REQUIRE(session);
  CHECK_FALSE(fixture.time.ask<Receipt>(session->second, commit_atom_v, TaskId{1}));
  CHECK(fixture.neighbours.metrics->restarts == std::vector<std::string>{"session-0"});
  CHECK(fixture.hello("ward-1", fixture.client()));
}

TEST_CASE("sessions are wired anew with the others, and end with the gateway") {
  auto fixture = Fixture();
  fixture.wire();
  const auto session = fixture.hello("ward-1", fixture.client());
  REQUIRE(session);
  auto log = std::make_shared<test::SchedulerLog>();
  fixture.neighbours.peers.scheduler = fixture.time.spawn(test::fake_scheduler, log);
  fixture.wire();
  CHECK(log->joins.size() == 1);
  const auto end = fixture.time.end_of(session->second);
  fixture.time.end(fixture.actor, caf::exit_reason::kill);
  CHECK(end->has_value());
}

TEST_CASE("status comes from metrics, stop goes to the node") {
  auto fixture = Fixture();
  fixture.wire();
  CHECK(fixture.time.ask<RunStatus>(fixture.actor, status_atom_v));
  CHECK(fixture.time.ask<std::string>(fixture.actor, stop_atom_v));
  CHECK(fixture.neighbours.node->stops == 1);
}

TEST_CASE("a gateway that crashes over a hello is no one's answer") {
  auto fixture = Fixture({"gateway@hello=2"});
  fixture.wire();
  CHECK(fixture.hello("ward-1", fixture.client()));
  const auto end = fixture.time.end_of(fixture.actor);
  CHECK_FALSE(fixture.hello("ward-2", fixture.client()));
  CHECK(end->has_value());
}

TEST_CASE("who is quarantined is not welcomed, and hears why and what helps") {
  auto fixture = Fixture();
  fixture.wire();
  fixture.storage->quarantine["ward-1"] = "not_finite: NaN";
  const auto refused = fixture.hello("ward-1", fixture.client());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ec::quarantined);
  CHECK(refused.error().text.find("NaN") != std::string::npos);
  CHECK(refused.error().text.find("pardon") != std::string::npos);
  CHECK(fixture.hello("ward-2", fixture.client()));
  fixture.storage->quarantine.clear();
  CHECK(fixture.hello("ward-1", fixture.client()));
}

TEST_CASE("one client does not take the places of others under new names") {
  auto fixture = Fixture();
  fixture.wire();
  const auto client = fixture.client();
  REQUIRE(fixture.hello("ward-1", client));
  CHECK(fixture.hello("ward-2", client).error().code == ec::hello_refused);
  CHECK(fixture.hello("ward-2", fixture.client()));
}

TEST_CASE("hello after hello of one client is a flood, and in the end costs it its place") {
  auto fixture = Fixture();
  fixture.wire();
  const auto client = fixture.client();
  const auto session = fixture.hello("ward-1", client);
  REQUIRE(session);
  auto refusal = ec::none;
  for (auto i = 0; i < 30 && refusal == ec::none; ++i) {
    const auto answer = fixture.hello("ward-1", client);
    if (!answer) refusal = answer.error().code;
  }
  CHECK(refusal == ec::flood);
  CHECK(fixture.storage->strikes["ward-1"] == 1);
  for (auto i = 0; i < 100 && refusal != ec::quarantined; ++i) {
    fixture.time.pass(std::chrono::milliseconds(100));
    for (auto j = 0; j < 10; ++j)
      if (const auto answer = fixture.hello("ward-1", client); !answer) refusal = answer.error().code;
  }
  CHECK(refusal == ec::quarantined);
  CHECK(fixture.neighbours.scheduler->dismissed.size() == 1);
  // Its session is over, so its place is free.
  CHECK(fixture.hello("ward-2", fixture.client()));
  CHECK(fixture.hello("ward-3", fixture.client()));
}
