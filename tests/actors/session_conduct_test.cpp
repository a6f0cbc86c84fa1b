// A session with a client that misbehaves.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/session_fixture.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace fl;
using test::SessionFixture;

namespace {

std::size_t files_in(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

}  // namespace

TEST_CASE(
    "a client that sends NaN again and again is quarantined: told why, its lease lost, its session over") {
  auto fixture = SessionFixture();
  fixture.options.conduct.strikes = 3;
  fixture.start();
  const auto end = fixture.time.end_of(fixture.actor);
  for (auto i = TaskId{1}; i <= 3; ++i) {
    CHECK_FALSE(end->has_value());
    const auto task = fixture.begin(test::lease_of(i, 2, 3));
    const auto receipt = fixture.submit(task, test::blob_for(task, std::nanf("")));
    REQUIRE(receipt);
    CHECK(receipt->code == ec::not_finite);
    CHECK(receipt->text.find("offence " + std::to_string(i) + " of 3") != std::string::npos);
  }
  CHECK(end->has_value());
  CHECK_FALSE(**end);  // no crash
  CHECK(fixture.storage->quarantine.contains("ward-2"));
  REQUIRE(fixture.neighbours.scheduler->dismissed.size() == 1);
  CHECK(fixture.neighbours.scheduler->dismissed[0].first == 2);
  CHECK(fixture.neighbours.scheduler->lost.size() == 3);
  CHECK(fixture.neighbours.aggregator->submitted.empty());
  CHECK(fixture.neighbours.metrics->updates.size() == 3);
}

TEST_CASE("strikes are of the name, not of the session") {
  auto fixture = SessionFixture();
  fixture.options.conduct.strikes = 2;
  for (auto session = 0; session < 2; ++session) {
    fixture.start();
    const auto task = fixture.begin();
    fixture.submit(task, test::blob_for(task, std::nanf("")));
  }
  CHECK(fixture.storage->quarantine.contains("ward-2"));
}

TEST_CASE("what an honest client may meet is no offence") {
  auto fixture = SessionFixture();
  fixture.options.conduct.strikes = 1;
  fixture.start();
  fixture.neighbours.aggregator->decision = ec::too_stale;
  for (auto i = 0; i < 3; ++i) {
    const auto task = fixture.begin();
    CHECK(fixture.submit(task, test::blob_for(task))->code == ec::too_stale);
    CHECK(fixture.submit(task, test::blob_for(task))->code == ec::unknown_lease);
    const auto blob = test::bytes_of(*test::blob_for(task));
    CHECK(fixture.offer(task, blob).error().code == ec::unknown_lease);
    CHECK(fixture.chunk(task, blob, 0, 10).error().code == ec::unknown_lease);
  }
  CHECK(fixture.storage->strikes.empty());
}

TEST_CASE("an update above the largest norm is refused") {
  auto fixture = SessionFixture();
  fixture.options.conduct.max_update_norm = 2 * std::sqrt(static_cast<double>(test::small_layout()->size()));
  fixture.start();
  auto task = fixture.begin();
  CHECK(fixture.submit(task, test::blob_for(task, 2))->accepted());
  task = fixture.begin();
  CHECK(fixture.submit(task, test::blob_for(task, -2.01f))->code == ec::norm_too_large);
  CHECK(fixture.storage->strikes["ward-2"] == 1);
}

TEST_CASE("what a client says that it has must be possible") {
  auto fixture = SessionFixture();
  CHECK(fixture.say({10, 0, {5, 6}}).error().code == ec::bad_claim);
  CHECK(fixture.say({10, 0, {5, 4}}).error().code == ec::bad_claim);
  CHECK(fixture.say({10, 0, {~std::uint64_t{0}, 11}}).error().code == ec::bad_claim);  // the sum overflows
  CHECK(fixture.say({0, 0, std::vector<std::uint64_t>(kMaxClasses + 1)}).error().code == ec::bad_claim);
  CHECK(fixture.storage->client_records.empty());
  CHECK(fixture.storage->strikes["ward-2"] == 4);
  REQUIRE(fixture.neighbours.metrics->updates.size() == 4);
  CHECK(fixture.neighbours.metrics->updates[0].decision == ec::bad_claim);
  CHECK(fixture.say({10, 0, {4, 6}}));
  CHECK(fixture.say({10, 0, {}}));
}

TEST_CASE("a flood of requests is refused, and costs the client its place when it goes on") {
  auto fixture = SessionFixture();
  fixture.options.conduct.strikes = 3;
  fixture.options.conduct.max_requests_per_second = 10;
  fixture.start();
  const auto end = fixture.time.end_of(fixture.actor);
  for (auto i = 0; i < 20; ++i) CHECK(fixture.say({10, 0, {}}));
  for (auto i = 0; i < 50; ++i) CHECK(fixture.say({10, 0, {}}).error().code == ec::flood);
  CHECK(fixture.storage->strikes["ward-2"] == 1);
  CHECK(fixture.neighbours.metrics->updates.size() == 1);
  fixture.time.pass(std::chrono::seconds(1));
  CHECK(fixture.say({10, 0, {}}));  // who slows down goes on
  for (auto second = 0; second < 2; ++second) {
    for (auto i = 0; i < 50; ++i) (void)fixture.say({10, 0, {}});
    fixture.time.pass(std::chrono::seconds(1));
  }
  CHECK(end->has_value());
  CHECK(fixture.storage->quarantine.contains("ward-2"));
}

TEST_CASE("a chunk larger than any client sends is refused unseen, and the upload is over") {
  auto fixture = SessionFixture();
  const auto task = fixture.begin();
  const auto blob = std::vector<std::byte>((512u << 10) + 1);
  CHECK(fixture.offer(task, blob) == std::uint64_t{0});
  CHECK(fixture.chunk(task, blob, 0, blob.size()).error().code == ec::flood);
  CHECK(fixture.chunk(task, blob, 0, 10).error().code == ec::unknown_lease);
}

TEST_CASE("after a chunk that was refused as a flood, those already on their way are no gaps") {
  auto fixture = SessionFixture();
  fixture.options.conduct.max_requests_per_second = 10;
  fixture.start();
  const auto task = fixture.begin();
  const auto blob = test::bytes_of(*test::blob_for(task));
  REQUIRE(fixture.offer(task, blob));
  for (auto offset = std::size_t{0}; offset < 18; ++offset) REQUIRE(fixture.chunk(task, blob, offset, 1));
  CHECK(fixture.chunk(task, blob, 18, 1).error().code == ec::flood);
  fixture.time.pass(std::chrono::milliseconds(200));
  CHECK(fixture.chunk(task, blob, 19, 1).error().code == ec::unknown_lease);
  CHECK(fixture.storage->strikes["ward-2"] == 1);
}

TEST_CASE("offers over and over leave one file at most") {
  const auto folder = test::TemporaryFolder();
  auto fixture = SessionFixture();
  fixture.options.transfer_folder = folder.path().string();
  fixture.options.durable_updates = true;
  fixture.start();
  const auto task = fixture.begin();
  auto refusals = 0;
  for (auto hash = std::uint64_t{1}; hash <= 10; ++hash) {
    const auto answer = fixture.offer({task.id, task.epoch, 1000, hash});
    if (!answer) {
      CHECK(answer.error().code == ec::flood);
      ++refusals;
    }
    CHECK(files_in(folder.path()) <= 1);
    if (fixture.storage->quarantine.contains("ward-2")) break;
  }
  CHECK(refusals == 5);
  CHECK(files_in(folder.path()) == 0);
}

TEST_CASE("what an earlier session of the client began for another update is removed") {
  const auto folder = test::TemporaryFolder();
  auto fixture = SessionFixture();
  fixture.options.transfer_folder = folder.path().string();
  fixture.options.durable_updates = true;
  for (auto hash = std::uint64_t{1}; hash <= 5; ++hash) {
    fixture.start();
    const auto task = fixture.begin();
    CHECK(fixture.offer({task.id, task.epoch, 1000, hash}));
    CHECK(files_in(folder.path()) == 1);
  }
}

TEST_CASE("an update that was refused leaves no file") {
  const auto folder = test::TemporaryFolder();
  auto fixture = SessionFixture();
  fixture.options.transfer_folder = folder.path().string();
  fixture.options.durable_updates = true;
  fixture.start();
  const auto task = fixture.begin();
  const auto blob = test::bytes_of(*test::blob_for(task, std::nanf("")));
  fixture.offer(task, blob);
  fixture.chunk(task, blob, 0, blob.size());
  CHECK(files_in(folder.path()) == 1);
  CHECK(fixture.commit(task)->code == ec::not_finite);
  CHECK(files_in(folder.path()) == 0);
}

TEST_CASE("a version that is asked for again and again is a flood") {
  auto fixture = SessionFixture();
  const auto task = fixture.begin();
  auto given = std::uint64_t{0};
  auto refusal = ec::none;
  for (auto i = 0; i < 100'000 && refusal == ec::none; ++i) {
    const auto chunk = fixture.fetch(task.id, 0, 100);
    if (chunk)
      given += chunk->bytes.size();
    else
      refusal = chunk.error().code;
  }
  CHECK(refusal == ec::flood);
  CHECK(given <= 2 * test::model_of(3)->size() + (512u << 10));
}
