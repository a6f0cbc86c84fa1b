// A client of another process: models and updates travel in chunks. (Here its sessions are in the same one.)
#include <doctest/doctest.h>

#include "tests/support/client_fixture.hpp"

using namespace fl;
using std::chrono::seconds;
using test::ClientFixture;

namespace {

/// A model of 3 MB, which takes several chunks.
PublishedModelPtr large_model(Version version) {
  auto layout = std::make_shared<Layout>();
  layout->add("weight", {750'000});
  return std::make_shared<const PublishedModel>(
      version, std::make_shared<const Parameters>(test::counting(layout, 1)));
}

struct Fixture : ClientFixture {
  PublishedModelPtr model = large_model(3);

  Fixture() : ClientFixture(false) {
    give_task(7);
    layout = model->layout();
    server->model = model;
    server->answer.task.model_bytes = model->size();
    server->answer.task.model_hash = model->hash().value();
  }
};

}  // namespace

TEST_CASE("a model in chunks arrives whole") {
  auto fixture = Fixture();
  fixture.start();
  REQUIRE(fixture.trainer->tasks.size() == 1);
  CHECK(fixture.server->fetches > 2);
  CHECK(test::same_values(*fixture.trainer->bases[0], **fixture.model->parameters()));
  CHECK(fixture.tally()->bytes_down == fixture.model->size());
}

TEST_CASE("a model that was damaged on its way is fetched again over a new connection") {
  auto fixture = Fixture();
  fixture.server->answer.task.model_hash ^= 1;
  fixture.start();
  CHECK(fixture.trainer->tasks.empty());
  CHECK(fixture.node->failed.empty());
  fixture.server->answer.task.model_hash ^= 1;
  fixture.time.pass(seconds(1));
  CHECK(fixture.server->hellos.size() == 2);
  CHECK(fixture.trainer->tasks.size() == 1);
}

TEST_CASE("a download that breaks off goes on where it was") {
  auto fixture = Fixture();
  fixture.server->lose_fetch_from = 1'000'000;
  fixture.start();
  CHECK(fixture.trainer->tasks.empty());
  const auto before = fixture.server->fetch_offsets;
  REQUIRE(!before.empty());
  fixture.time.pass(seconds(1));
  CHECK(fixture.server->hellos.size() == 2);
  REQUIRE(fixture.server->fetch_offsets.size() > before.size());
  CHECK(fixture.server->fetch_offsets[before.size()] > before.back());
  REQUIRE(fixture.trainer->tasks.size() == 1);
  CHECK(test::same_values(*fixture.trainer->bases[0], **fixture.model->parameters()));
  CHECK(fixture.tally()->bytes_down == fixture.model->size());
}

TEST_CASE("a download that breaks off begins anew when another version is given") {
  auto fixture = Fixture();
  fixture.server->lose_fetch_from = 1'000'000;
  fixture.start();
  const auto parts = fixture.server->fetch_offsets.size();
  fixture.server->answer = test::lease_of(8, 2, 4)->assignment;
  fixture.server->model = large_model(4);
  fixture.server->answer.task.model_bytes = fixture.server->model->size();
  fixture.server->answer.task.model_hash = fixture.server->model->hash().value();
  fixture.time.pass(seconds(1));
  CHECK(fixture.server->fetch_offsets[parts] == 0);
  REQUIRE(fixture.trainer->tasks.size() == 1);
  CHECK(fixture.trainer->tasks[0].id == 8);
}

TEST_CASE("a model of another kind ends the client") {
  auto fixture = Fixture();
  fixture.server->model = test::model_of(3);
  fixture.server->answer.task.model_bytes = fixture.server->model->size();
  fixture.start();
  REQUIRE(fixture.node->failed.size() == 1);
  CHECK(fixture.node->failed[0].find("layout_mismatch") != std::string::npos);
}

TEST_CASE("a lease that ran out while the model was fetched: the next task is asked for") {
  auto fixture = Fixture();
  fixture.server->fetch_refusal = Error{ec::unknown_lease, "too late"};
  fixture.start();
  CHECK(fixture.server->hellos.size() == 1);
  CHECK(fixture.server->readies == 2);
  CHECK(fixture.trainer->tasks.size() == 1);
}

TEST_CASE("an update goes in chunks, is committed once and counted") {
  auto fixture = Fixture();
  fixture.trainer->update_bytes = 3'000'001;
  fixture.start();
  fixture.give_nothing();
  fixture.time.pass(seconds(10));
  REQUIRE(fixture.server->offers.size() == 1);
  CHECK(fixture.server->offers[0].size_bytes == 3'000'001);
  REQUIRE(fixture.server->received.size() == 3'000'001);
  CHECK(hash_of(fixture.server->received) == fixture.server->offers[0].hash);
  CHECK(fixture.server->commits == std::vector<TaskId>{7});
  CHECK(fixture.tally()->bytes_up == 3'000'001);
  CHECK(fixture.tally()->updates_accepted == 1);
}

TEST_CASE("an upload that breaks off goes on where the server says") {
  auto fixture = Fixture();
  fixture.trainer->update_bytes = 3'000'001;
  fixture.server->lose_after = 1'000'000;
  fixture.start();
  fixture.time.pass(seconds(10));
  CHECK(fixture.server->commits.empty());
  const auto kept = fixture.server->received.size();
  CHECK(kept >= 1'000'000);
  CHECK(kept < 3'000'001);
  REQUIRE(fixture.time.pass_until([&] { return !fixture.server->commits.empty(); }));
  CHECK(fixture.server->received.size() == 3'000'001);
  CHECK(hash_of(fixture.server->received) == fixture.server->offers[1].hash);
  CHECK(fixture.trainer->tasks.front().id == 7);
  CHECK(fixture.server->offers.size() == 2);
}

TEST_CASE("what the server has whole already is only committed") {
  auto fixture = Fixture();
  fixture.start();
  fixture.server->silent = true;
  fixture.time.pass(seconds(10));
  CHECK(fixture.server->commits.size() == 1);
  fixture.crash_session();
  fixture.server->silent = false;
  REQUIRE(fixture.time.pass_until([&] { return fixture.server->commits.size() == 2; }));
  CHECK(fixture.server->received.size() == fixture.trainer->update_bytes);
}

TEST_CASE("a receipt that is late is waited for, and the owner of the client is told so") {
  auto fixture = Fixture();
  fixture.start();
  fixture.server->silent = true;
  fixture.time.pass(seconds(15));
  REQUIRE(fixture.server->commits.size() == 1);
  CHECK(fixture.tally()->state == "delivering the update of task 7");
  fixture.time.pass(seconds(10));
  CHECK(fixture.tally()->state == "waiting for the receipt of task 7");
  fixture.time.pass(seconds(3600));
  CHECK(fixture.server->commits.size() == 1);
  CHECK(fixture.server->hellos.size() == 1);
}

TEST_CASE("what the server could not do costs an attempt to deliver, never the update") {
  auto fixture = Fixture();
  fixture.trainer->update_bytes = 3'000'001;
  fixture.server->offer_refusal = Error{ec::io_failed, "too many open files"};
  fixture.start();
  fixture.time.pass(seconds(10));
  CHECK(fixture.server->commits.empty());
  REQUIRE(fixture.time.pass_until([&] { return !fixture.server->commits.empty(); }));
  CHECK(fixture.server->offers.size() == 2);
  CHECK(fixture.server->hellos.size() == 2);
  CHECK(fixture.tally()->updates_rejected.empty());
}

TEST_CASE("a server that runs out of room in the middle of an upload is tried again, with growing pauses") {
  auto fixture = Fixture();
  fixture.trainer->update_bytes = 3'000'001;
  fixture.server->chunk_refusal = Error{ec::store_full, "no room"};
  fixture.start();
  fixture.time.pass(seconds(70));
  CHECK(fixture.server->commits.empty());
  CHECK(fixture.server->hellos.size() == 1);
  CHECK(fixture.server->offers.size() > 3);
  CHECK(fixture.server->offers.size() < 15);
  fixture.server->chunk_refusal.reset();
  REQUIRE(fixture.time.pass_until([&] { return !fixture.server->commits.empty(); }));
  CHECK(fixture.tally()->updates_rejected.empty());
}
