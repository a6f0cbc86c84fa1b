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

  explicit Fixture(std::vector<std::string> crashes = {}, AdmissionOptions admission = {}) {
    sessions.layout = test::small_layout();
    sessions.storage = storage;
    sessions.chaos = Chaos::parse(crashes).value();
    auto terms = Welcome();
    terms.run_id = "run";
    terms.clients_count = 2;
    actor = time.spawn(gateway, terms, sessions, admission);
    neighbours.peers.gateway = actor;
  }
  void wire() { time.tell(actor, wire_atom_v, neighbours.handles()); }

  struct Client {
    client_actor actor;
    std::shared_ptr<test::ClientLog> log;
  };
  Client client() {
    auto log = std::make_shared<test::ClientLog>();
    return {test::spawn_listening_client(time, log), log};
  }

  Result<std::string> stop(const Proof& proof, const Client& owner) {
    return time.ask<std::string>(actor, stop_atom_v, proof, caf::actor_cast<caf::actor>(owner.actor));
  }

  /// What the gateway wants to have signed.
  Result<Challenge> introduce(const std::string& name, const Client& client, const Nonce& nonce) {
    return time.ask<Challenge>(actor, Introduction{kProtocolVersion, name, nonce},
                               caf::actor_cast<caf::actor>(client.actor));
  }

  /// The proof that a client with this key gives after introducing itself.
  Proof prove(const std::string& name, const Client& client, const SigningKey& key) {
    const auto nonce = make_nonce();
    const auto challenge = introduce(name, client, nonce).value();
    const auto transcript = HelloTranscript{name, nonce, challenge.nonce, to_string(client.actor.node()),
                                            to_string(actor.node())};
    return {challenge.nonce, key.sign(transcript.signed_by_client())};
  }

  /// The session that a hello leads to, or why not.
  Result<std::pair<Welcome, caf::actor>> hello(const std::string& name, const Client& client,
                                               std::uint32_t protocol = kProtocolVersion,
                                               const Proof& proof = {}) {
    auto answer =
        std::make_shared<Result<std::pair<Welcome, caf::actor>>>(fail(ec::internal, "there was no answer"));
    time.spawn([=, this](caf::event_based_actor* self) {
      self->request(actor, caf::infinite, Hello{protocol, "test", name, proof},
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
  CHECK(fixture.stop({}, fixture.client()).error().code == ec::unavailable);
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
  fixture.neighbours.peers.scheduler = test::spawn_fake_scheduler(fixture.time, log);
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
  CHECK(fixture.stop({}, fixture.client()));
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

namespace {

/// A gateway that knows itself and two wards.
struct Closed {
  SigningKey server = SigningKey::generate();
  SigningKey ward = SigningKey::generate();
  SigningKey other = SigningKey::generate();
  Fixture fixture{{},
                  {server, std::make_shared<const AllowList>(
                               AllowList{{"ward-1", ward.public_key()}, {"ward-2", other.public_key()}})}};
  Closed() { fixture.wire(); }
};

}  // namespace

TEST_CASE("with an allow list, a client proves its name by its key") {
  auto closed = Closed();
  auto& fixture = closed.fixture;
  const auto client = fixture.client();
  const auto proof = fixture.prove("ward-1", client, closed.ward);
  CHECK(fixture.hello("ward-1", client, kProtocolVersion, proof));
}

TEST_CASE("the aggregator proves its own identity in its challenge") {
  auto closed = Closed();
  auto& fixture = closed.fixture;
  const auto client = fixture.client();
  const auto nonce = make_nonce();
  const auto challenge = fixture.introduce("ward-1", client, nonce).value();
  CHECK(challenge.key == closed.server.public_key().text());
  auto transcript = HelloTranscript{"ward-1", nonce, challenge.nonce, to_string(client.actor.node()),
                                    to_string(fixture.actor.node())};
  CHECK(closed.server.public_key().verifies(transcript.signed_by_server(), challenge.signature));
  CHECK_FALSE(closed.server.public_key().verifies(transcript.signed_by_client(), challenge.signature));
  transcript.client_nonce = make_nonce();  // a recording answers another question
  CHECK_FALSE(closed.server.public_key().verifies(transcript.signed_by_server(), challenge.signature));
}

TEST_CASE("whoever does not prove a name on the list is refused, and told why") {
  auto closed = Closed();
  auto& fixture = closed.fixture;
  const auto client = fixture.client();
  const auto refused = [&](const std::string& name, const Fixture::Client& from, const Proof& proof,
                           const std::string& why) {
    const auto answer = fixture.hello(name, from, kProtocolVersion, proof);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == ec::hello_refused);
    CAPTURE(answer.error().text);
    CHECK(answer.error().text.find(why) != std::string::npos);
  };
  refused("ward-1", client, {}, "net.identity");
  refused("stranger", client, fixture.prove("stranger", client, closed.ward), "allow list");
  refused("ward-1", client, fixture.prove("ward-1", client, closed.other),
          "not the one that the aggregator knows");
  refused("ward-1", client, fixture.prove("ward-2", client, closed.ward), "another name");
  refused("ward-1", client, {make_nonce(), std::string(64, 'x')}, "no open challenge");
  // A proof is of use once, and only where it was asked for.
  const auto proof = fixture.prove("ward-1", client, closed.ward);
  refused("ward-1", fixture.client(), proof, "no open challenge");
  CHECK(fixture.hello("ward-1", client, kProtocolVersion, proof));
  refused("ward-1", client, proof, "used before");
  const auto late = fixture.prove("ward-2", client, closed.other);
  fixture.time.pass(std::chrono::minutes(2));
  refused("ward-2", client, late, "too old");
  CHECK(fixture.introduce("ward-1", client, "short").error().code == ec::hello_refused);
}

TEST_CASE("a name that is taken off the list loses its session; a new key for it too") {
  auto closed = Closed();
  auto& fixture = closed.fixture;
  const auto one = fixture.client();
  const auto two = fixture.client();
  REQUIRE(fixture.hello("ward-1", one, kProtocolVersion, fixture.prove("ward-1", one, closed.ward)));
  const auto second =
      fixture.hello("ward-2", two, kProtocolVersion, fixture.prove("ward-2", two, closed.other));
  REQUIRE(second);
  const auto renewed = SigningKey::generate();
  fixture.time.tell(
      fixture.actor,
      AllowListPtr(std::make_shared<const AllowList>(AllowList{{"ward-2", closed.other.public_key()}})));
  const auto again =
      fixture.hello("ward-1", one, kProtocolVersion, fixture.prove("ward-1", one, closed.ward));
  CHECK(again.error().code == ec::hello_refused);
  // ward-2 is still there, so its name is in use; then its key changes, and the old one is no longer good.
  CHECK(fixture.hello("ward-2", one, kProtocolVersion, fixture.prove("ward-2", one, closed.other))
            .error()
            .code == ec::unavailable);
  fixture.time.tell(
      fixture.actor,
      AllowListPtr(std::make_shared<const AllowList>(AllowList{{"ward-2", renewed.public_key()}})));
  CHECK(fixture.hello("ward-2", two, kProtocolVersion, fixture.prove("ward-2", two, closed.other))
            .error()
            .code == ec::hello_refused);
  CHECK(fixture.hello("ward-2", two, kProtocolVersion, fixture.prove("ward-2", two, renewed)));
}

TEST_CASE("a peer that names nobody is refused") {
  auto fixture = Fixture();
  fixture.wire();
  const auto nobody = Fixture::Client();
  CHECK(fixture.hello("ward-1", nobody).error().code == ec::hello_refused);
  CHECK(fixture.introduce("ward-1", nobody, make_nonce()).error().code == ec::hello_refused);
  CHECK(fixture.stop({}, nobody).error().code == ec::hello_refused);
}

TEST_CASE("only who holds the aggregator's key may stop the run") {
  auto closed = Closed();
  auto& fixture = closed.fixture;
  const auto somebody = fixture.client();
  CHECK(fixture.stop({}, somebody).error().code == ec::hello_refused);
  const auto name = std::string(kOwnerName);
  CHECK(fixture.stop(fixture.prove(name, somebody, closed.ward), somebody).error().code == ec::hello_refused);
  CHECK(fixture.stop(fixture.prove(name, somebody, closed.server), somebody));
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
