// A client's connection: hello, refusals, losses and returns.
#include <doctest/doctest.h>

#include "tests/support/client_fixture.hpp"

using namespace fl;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::ClientFixture;

TEST_CASE("a refusal that no other attempt will change ends the client") {
  for (const auto code : {ec::protocol_mismatch, ec::hello_refused, ec::layout_mismatch}) {
    auto fixture = ClientFixture();
    fixture.server->hello_refusal = Error{code, "no"};
    fixture.start();
    CHECK(fixture.node->failed.size() == 1);
    fixture.time.pass(std::chrono::minutes(10));
    CHECK(fixture.server->hellos.size() == 1);
  }
}

TEST_CASE("a client that is quarantined ends and says why; one of a simulation ends alone") {
  for (const auto in_process : {false, true}) {
    auto fixture = ClientFixture(in_process);
    fixture.server->hello_refusal = Error{ec::quarantined, "too much NaN"};
    fixture.start();
    fixture.time.pass(std::chrono::minutes(10));
    CHECK(fixture.server->hellos.size() == 1);
    REQUIRE(fixture.node->failed.size() == (in_process ? 0 : 1));
    if (!in_process) CHECK(fixture.node->failed[0].find("too much NaN") != std::string::npos);
  }
}

TEST_CASE("a server that is not there is tried again, ever more patiently") {
  auto fixture = ClientFixture();
  fixture.options.backoff_min = milliseconds(200);
  fixture.options.backoff_max = seconds(15);
  fixture.server->hello_refusal = Error{ec::unavailable, "starting"};
  fixture.start();
  auto times = std::vector<double>();
  const auto begin = fixture.time.now();
  while (fixture.server->hellos.size() < 15) {
    const auto before = fixture.server->hellos.size();
    REQUIRE(fixture.time.pass_until([&] { return fixture.server->hellos.size() > before; }));
    times.push_back(Seconds(fixture.time.now() - begin).count());
  }
  CHECK(times[0] >= 0.1);
  CHECK(times[0] <= 0.3);
  for (auto i = std::size_t{1}; i < times.size(); ++i) {
    const auto pause = times[i] - times[i - 1];
    const auto middle = std::min(15.0, 0.2 * std::pow(2.0, i));
    CHECK(pause >= 0.5 * middle - 0.001);
    CHECK(pause <= 1.5 * middle + 0.001);
  }
  fixture.server->hello_refusal.reset();
  fixture.give_task(7);
  fixture.time.pass(seconds(23));
  CHECK(fixture.trainer->tasks.size() == 1);
  CHECK(fixture.node->failed.empty());
}

TEST_CASE("after net.reconnect_seconds without a connection a client gives up") {
  auto fixture = ClientFixture();
  fixture.options.reconnect = Seconds(60);
  fixture.server->hello_refusal = Error{ec::unavailable, "starting"};
  fixture.start();
  fixture.time.pass(seconds(55));
  CHECK(fixture.node->failed.empty());
  fixture.time.pass(seconds(30));
  REQUIRE(fixture.node->failed.size() == 1);
  CHECK(fixture.node->failed[0].find("net.reconnect_seconds = 60") != std::string::npos);
}

TEST_CASE("a gateway that is down is tried again when it is back") {
  auto fixture = ClientFixture();
  fixture.give_task(7);
  fixture.time.end(fixture.peers.gateway, caf::exit_reason::kill);
  fixture.start();
  fixture.new_gateway();
  fixture.wire();
  fixture.time.pass(seconds(1));
  CHECK(fixture.trainer->tasks.size() == 1);
}

TEST_CASE("a gateway that ends before its welcome is left at once, not after the request timeout") {
  auto fixture = ClientFixture();
  fixture.give_task(7);
  fixture.server->hello_lost = true;
  fixture.start();
  CHECK(fixture.server->hellos.size() == 1);
  fixture.server->hello_lost = false;
  fixture.new_gateway();
  fixture.wire();
  fixture.time.pass(seconds(1));
  CHECK(fixture.server->hellos.size() == 2);
  CHECK(fixture.trainer->tasks.size() == 1);
}

TEST_CASE("a session lost while training: training goes on, the update is delivered to the next session") {
  auto fixture = ClientFixture();
  fixture.give_task(7);
  fixture.start();
  fixture.crash_session();
  fixture.time.pass(seconds(1));
  CHECK(fixture.server->hellos.size() == 2);
  CHECK(fixture.server->readies == 2);  // which asks the new session for the open lease
  CHECK(fixture.trainer->prepared == 1);
  CHECK(fixture.trainer->tasks.size() == 1);
  CHECK(fixture.tally()->reconnects == 1);
  fixture.time.pass(seconds(9));
  REQUIRE(fixture.server->submitted.size() == 1);
  CHECK(fixture.server->submitted[0].first == 7);
  CHECK(fixture.server->abandoned.empty());
}

TEST_CASE("an update that was finished without a connection waits for the lease to be given again") {
  auto fixture = ClientFixture();
  fixture.give_task(7);
  fixture.start();
  fixture.server->hello_refusal = Error{ec::unavailable, "restarting"};
  fixture.crash_session();
  fixture.time.pass(seconds(20));
  CHECK(fixture.server->submitted.empty());
  fixture.server->hello_refusal.reset();
  fixture.server->silent = true;
  REQUIRE(fixture.time.pass_until([&] { return fixture.server->readies == 2; }));
  CHECK(fixture.server->submitted.empty());  // the session does not know of the lease yet
  fixture.crash_session();
  fixture.server->silent = false;
  REQUIRE(fixture.time.pass_until([&] { return !fixture.server->submitted.empty(); }));
  CHECK(fixture.server->submitted[0].first == 7);
  CHECK(fixture.trainer->tasks.front().id == 7);
}

TEST_CASE("a lease that ran out meanwhile: the task is dropped for the one that is given") {
  auto fixture = ClientFixture();
  fixture.give_task(7);
  fixture.start();
  fixture.give_task(9);
  fixture.crash_session();
  fixture.time.pass(seconds(1));
  CHECK(fixture.trainer->cancelled == std::vector<TaskId>{7});
  REQUIRE(fixture.trainer->tasks.size() == 2);
  CHECK(fixture.trainer->tasks[1].id == 9);
}

TEST_CASE("a session lost while delivering: the update is delivered again") {
  auto fixture = ClientFixture();
  fixture.give_task(7);
  fixture.start();
  fixture.server->silent = true;
  fixture.time.pass(seconds(10));
  CHECK(fixture.server->submitted.size() == 1);
  fixture.crash_session();
  fixture.server->silent = false;
  REQUIRE(fixture.time.pass_until([&] { return fixture.server->submitted.size() == 2; }));
  CHECK(fixture.server->submitted[1].first == 7);
  CHECK(fixture.server->submitted[1].second == fixture.server->submitted[0].second);
}

TEST_CASE("another run, or another place in it, begins from nothing") {
  auto fixture = ClientFixture();
  fixture.give_task(7);
  fixture.start();
  fixture.server->terms.run_id = "another run";
  fixture.give_task(1);
  fixture.crash_session();
  fixture.time.pass(seconds(1));
  CHECK(fixture.trainer->prepared == 2);
  CHECK(fixture.trainer->cancelled == std::vector<TaskId>{7});
  CHECK(fixture.server->fetches == 2);
}

TEST_CASE("a server that does not answer is left after the request timeout") {
  auto fixture = ClientFixture();
  fixture.options.request_timeout = milliseconds(5000);
  fixture.server->silent = true;
  fixture.start();
  CHECK(fixture.server->readies == 1);
  fixture.give_task(7);
  fixture.server->silent = false;
  fixture.time.pass(seconds(6));
  CHECK(fixture.server->hellos.size() == 2);
  CHECK(fixture.trainer->tasks.size() == 1);
}

namespace {

/// A client with a key, and a server that answers its introduction with `server`'s.
struct Introduced {
  SigningKey client = SigningKey::generate();
  SigningKey server = SigningKey::generate();
  ClientFixture fixture;
  Nonce asked = make_nonce();

  Introduced() {
    fixture.options.identity = {client, server.public_key()};
    fixture.give_nothing();
    answer_with(server);
  }
  HelloTranscript transcript() const {
    return {"ward-2", fixture.server->introductions.back().nonce, asked, node(), node()};
  }
  std::string node() const { return to_string(fixture.peers.gateway.node()); }
  void answer_with(const SigningKey& key) {
    fixture.server->challenge = [this, key](const Introduction&) {
      return Challenge{asked, key.public_key().text(), key.sign(transcript().signed_by_server())};
    };
  }
};

}  // namespace

TEST_CASE("a client with a key introduces itself and proves its name") {
  auto test = Introduced();
  test.fixture.start();
  REQUIRE(test.fixture.server->hellos.size() == 1);
  const auto& proof = test.fixture.server->hellos[0].proof;
  CHECK(proof.challenge == test.asked);
  CHECK(test.client.public_key().verifies(test.transcript().signed_by_client(), proof.signature));
  test.fixture.crash_session();
  test.fixture.time.pass(seconds(1));
  REQUIRE(test.fixture.server->introductions.size() == 2);  // each time anew
  CHECK(test.fixture.server->introductions[0].nonce != test.fixture.server->introductions[1].nonce);
}

TEST_CASE("a client talks to no other aggregator than the one it knows") {
  auto test = Introduced();
  const auto other = SigningKey::generate();
  SUBCASE("another key") {
    test.answer_with(other);
  }
  SUBCASE("the right key without its secret") {
    test.fixture.server->challenge = [&](const Introduction&) {
      return Challenge{test.asked, test.server.public_key().text(),
                       other.sign(test.transcript().signed_by_server())};
    };
  }
  SUBCASE("an answer to another question") {
    test.fixture.server->challenge = [&](const Introduction&) {
      auto transcript = test.transcript();
      transcript.client_nonce = make_nonce();
      return Challenge{test.asked, test.server.public_key().text(),
                       test.server.sign(transcript.signed_by_server())};
    };
  }
  SUBCASE("no key") {
    test.fixture.server->challenge = [&](const Introduction&) { return Challenge{test.asked, "", ""}; };
  }
  test.fixture.start();
  REQUIRE(test.fixture.node->failed.size() == 1);
  CAPTURE(test.fixture.node->failed[0]);
  CHECK(test.fixture.node->failed[0].find("net.aggregator_key") != std::string::npos);
  CHECK(test.fixture.server->hellos.empty());
}
