// A session receives an update in parts, whatever happens on the way.
#include <doctest/doctest.h>

#include "tests/support/session_fixture.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace fl;
using test::SessionFixture;

TEST_CASE("an update in chunks arrives whole and is handed to the aggregator") {
  const auto folder = test::TemporaryFolder();
  for (const auto& transfer_folder : {std::string(), folder.path().string()}) {
    auto fixture = SessionFixture();
    fixture.options.transfer_folder = transfer_folder;
    fixture.start();
    const auto task = fixture.begin();
    const auto blob = test::bytes_of(*test::blob_for(task, 2));
    CHECK(fixture.offer(task, blob) == std::uint64_t{0});
    for (auto offset = std::size_t{0}; offset < blob.size(); offset += 50) {
      const auto length = std::min<std::size_t>(50, blob.size() - offset);
      CHECK(fixture.chunk(task, blob, offset, length) == offset + length);
    }
    const auto receipt = fixture.commit(task);
    REQUIRE(receipt);
    CHECK(receipt->accepted());
    REQUIRE(fixture.neighbours.aggregator->submitted.size() == 1);
    const auto& update = *fixture.neighbours.aggregator->submitted[0];
    CHECK(update.info.task == 7);
    CHECK(update.encoded_bytes == blob.size());
    auto value = 0.0f;
    REQUIRE(update.payload.source->read(update.payload.offset, std::as_writable_bytes(std::span(&value, 1))));
    CHECK(value == 2);
    CHECK(fixture.neighbours.scheduler->settled.empty());  // the aggregator told it
    CHECK(fixture.board->up() == blob.size());
    CHECK(fixture.commit(task)->code == ec::unknown_lease);  // once
  }
}

TEST_CASE("a chunk that comes twice is taken once, and a gap is refused") {
  auto fixture = SessionFixture();
  const auto task = fixture.begin();
  const auto blob = test::bytes_of(*test::blob_for(task));
  fixture.offer(task, blob);
  CHECK(fixture.chunk(task, blob, 0, 60) == std::uint64_t{60});
  CHECK(fixture.chunk(task, blob, 0, 60) == std::uint64_t{60});
  CHECK(fixture.chunk(task, blob, 61, 10).error().code == ec::corrupt_data);
  CHECK(fixture.chunk(task, blob, 60, blob.size() - 60) == std::uint64_t{blob.size()});
  CHECK(fixture.commit(task)->accepted());
}

TEST_CASE("an offer of the same update goes on where it was; another begins anew") {
  auto fixture = SessionFixture();
  const auto task = fixture.begin();
  const auto blob = test::bytes_of(*test::blob_for(task, 1));
  fixture.offer(task, blob);
  fixture.chunk(task, blob, 0, 60);
  CHECK(fixture.offer(task, blob) == std::uint64_t{60});
  CHECK(fixture.begin().id == task.id);  // the lease is given again: nothing is lost
  CHECK(fixture.offer(task, blob) == std::uint64_t{60});
  const auto other = test::bytes_of(*test::blob_for(task, 2));
  CHECK(fixture.offer(task, other) == std::uint64_t{0});
  fixture.chunk(task, other, 0, other.size());
  CHECK(fixture.commit(task)->accepted());
}

TEST_CASE("an upload that broke off goes on in the next session, from the bytes on disk") {
  const auto folder = test::TemporaryFolder();
  auto fixture = SessionFixture();
  fixture.options.transfer_folder = folder.path().string();
  fixture.options.durable_updates = true;
  fixture.start();
  const auto task = fixture.begin();
  const auto blob = test::bytes_of(*test::blob_for(task, 1));
  CHECK(fixture.offer(task, blob) == std::uint64_t{0});
  fixture.chunk(task, blob, 0, 61);
  fixture.start();
  fixture.begin();
  CHECK(fixture.offer(task, blob) == std::uint64_t{61});
  CHECK(fixture.chunk(task, blob, 61, blob.size() - 61) == std::uint64_t{blob.size()});
  CHECK(fixture.commit(task)->accepted());
}

TEST_CASE("bytes beyond the offer, of another task or without an offer are refused") {
  auto fixture = SessionFixture();
  const auto task = fixture.begin();
  auto blob = test::bytes_of(*test::blob_for(task));
  CHECK(fixture.chunk(task, blob, 0, 10).error().code == ec::unknown_lease);
  fixture.offer(task, blob);
  auto other = task;
  other.id = 8;
  CHECK(fixture.chunk(other, blob, 0, 10).error().code == ec::unknown_lease);
  const auto size = blob.size();
  blob.resize(size + 1);
  CHECK(fixture.chunk(task, blob, 0, size + 1).error().code == ec::corrupt_data);
  CHECK(fixture.offer(other, blob).error().code == ec::unknown_lease);
  other.id = task.id;
  other.epoch = task.epoch + 1;
  CHECK(fixture.offer(other, blob).error().code == ec::unknown_lease);
}

TEST_CASE("an offer larger than any update can be takes no space") {
  auto fixture = SessionFixture();
  const auto task = fixture.begin();
  const auto refused = fixture.offer({task.id, task.epoch, std::uint64_t{1} << 60, 1});
  CHECK(refused.error().code == ec::wrong_length);
}

TEST_CASE("an update that was damaged on its way is refused, and its lease is lost") {
  auto fixture = SessionFixture();
  const auto task = fixture.begin();
  auto blob = test::bytes_of(*test::blob_for(task));
  fixture.offer(task, blob);
  blob[70] ^= std::byte{1};
  fixture.chunk(task, blob, 0, blob.size());
  CHECK(fixture.commit(task)->code == ec::corrupt_data);
  REQUIRE(fixture.neighbours.scheduler->lost.size() == 1);
  CHECK(fixture.neighbours.scheduler->lost[0].first == task.id);
  CHECK(fixture.neighbours.scheduler->settled.empty());
  REQUIRE(fixture.neighbours.metrics->updates.size() == 1);
  CHECK(fixture.neighbours.metrics->updates[0].decision == ec::corrupt_data);
  CHECK(fixture.neighbours.aggregator->submitted.empty());
}

TEST_CASE("an update that is not whole is refused") {
  auto fixture = SessionFixture();
  const auto task = fixture.begin();
  const auto blob = test::bytes_of(*test::blob_for(task));
  fixture.offer(task, blob);
  fixture.chunk(task, blob, 0, blob.size() - 1);
  CHECK(fixture.commit(task)->code == ec::corrupt_data);
}

TEST_CASE("a model is given in parts, counted when the last one goes") {
  auto fixture = SessionFixture();
  const auto task = fixture.begin();
  const auto whole = test::bytes_of(*test::model_of(3));
  auto received = std::vector<std::byte>();
  while (received.size() < whole.size()) {
    CHECK(fixture.board->down() == 0);
    const auto chunk = fixture.fetch(task.id, received.size(), 100);
    REQUIRE(chunk);
    CHECK(chunk->offset == received.size());
    received.insert(received.end(), chunk->bytes.view().begin(), chunk->bytes.view().end());
  }
  CHECK(received == whole);
  CHECK(fixture.board->down() == whole.size());
  CHECK(fixture.neighbours.scheduler->fetched == std::vector<std::pair<ClientId, TaskId>>{{2, task.id}});
}

TEST_CASE("parts beyond a model's end, or of a task that is not leased, are refused") {
  auto fixture = SessionFixture();
  const auto task = fixture.begin();
  const auto size = test::model_of(3)->size();
  CHECK(fixture.fetch(task.id, size, 1).error().code == ec::corrupt_data);
  CHECK(fixture.fetch(task.id, ~std::uint64_t{0}, 1).error().code == ec::corrupt_data);
  CHECK(fixture.fetch(8, 0, 1).error().code == ec::unknown_lease);
  CHECK(fixture.fetch(task.id, 0, ~0u)->bytes.size() == size);
}

TEST_CASE("a base that was fetched and is asked for again is gone, and with it the lease") {
  auto fixture = SessionFixture();
  const auto task = fixture.begin();
  const auto fetch = [&] { return fixture.fetch(task.id, 0, ~0u); };
  REQUIRE(fetch());
  CHECK(fetch().error().code == ec::unknown_lease);
  REQUIRE(fixture.neighbours.scheduler->lost.size() == 1);
  CHECK(fixture.neighbours.scheduler->lost[0].first == task.id);
}
