#include "runtime/run_ledger.hpp"

#include <doctest/doctest.h>

#include "messages/file_source.hpp"
#include "runtime/run_store.hpp"
#include "tests/support/small_state.hpp"
#include "tests/support/temporary_folder.hpp"

using fl::test::full_state;

namespace {

std::shared_ptr<fl::RunStore> open(const fl::test::TemporaryFolder& folder,
                                   fl::LedgerOptions ledger = {true, false, 0}) {
  auto store = fl::RunStore::open(folder.path(), {{"small", "fedavg_async", 5}, 2, ledger});
  INFO((store ? std::string() : store.error().text));
  REQUIRE(store.has_value());
  return *store;
}

fl::ByteSourcePtr blob(std::uint8_t content, std::size_t size = 100) {
  auto buffer = fl::AlignedBuffer(size);
  std::fill(buffer.span().begin(), buffer.span().end(), std::byte{content});
  return std::make_shared<const fl::MemorySource>(std::move(buffer));
}

fl::LedgerUpdate accepted(std::uint64_t number, fl::Version folded_into) {
  auto update = fl::LedgerUpdate();
  update.number = number;
  update.record.task = 10 + number;
  update.record.epoch = 1;
  update.record.client = static_cast<fl::ClientId>(number % 3);
  update.record.folded_into = folded_into;
  update.record.samples = 7;
  update.record.staleness = 1;
  update.record.weight = 0.1 * static_cast<double>(number);
  update.record.bytes = 100;
  update.divisor = 0.3;
  update.blob = blob(static_cast<std::uint8_t>(number));
  return update;
}

fl::LedgerBatch batch(std::uint64_t first, std::uint64_t last) {
  auto result = fl::LedgerBatch();
  for (auto number = first; number <= last; ++number) {
    result.accepted.push_back(accepted(number, (number + 1) / 2));
    if (number % 2 == 0) result.closings.push_back({number / 2, number, 0.6});
  }
  return result;
}

/// "u3 c2": update 3, closing of version 2.
std::string read(fl::RunStore& store, fl::Version after) {
  auto text = std::string();
  auto reader = fl::LedgerReader();
  reader.on_update = [&](const fl::LedgerUpdate& update) -> fl::Result<void> {
    const auto expected = accepted(update.number, (update.number + 1) / 2);
    CHECK(update.record.task == expected.record.task);
    CHECK(update.record.weight == expected.record.weight);
    CHECK(update.divisor == expected.divisor);
    auto byte = std::byte();
    CHECK(update.blob->size() == 100);
    CHECK(update.blob->read(99, {&byte, 1}).has_value());
    CHECK(byte == static_cast<std::byte>(update.number));
    text += "u" + std::to_string(update.number) + " ";
    return {};
  };
  reader.on_closing = [&](const fl::LedgerClosing& closing) -> fl::Result<void> {
    CHECK(closing.divisor == 0.6);
    text += "c" + std::to_string(closing.version) + " ";
    return {};
  };
  const auto done = store.read_ledger(after, reader);
  return done ? text : text + to_string(done.error());
}

}  // namespace

TEST_CASE("decisions are read again in their order, after any version, by another process too") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  REQUIRE(store->commit(batch(1, 3)).has_value());
  REQUIRE(store->commit(batch(4, 5)).has_value());
  CHECK(read(*store, 0) == "u1 u2 c1 u3 u4 c2 u5 ");
  store = nullptr;
  store = open(folder);
  CHECK(read(*store, 0) == "u1 u2 c1 u3 u4 c2 u5 ");
  CHECK(read(*store, 1) == "u3 u4 c2 u5 ");
  const auto newest = store->newest_accepted();
  REQUIRE(newest.has_value());
  CHECK(newest->size() == 3);
}

TEST_CASE("a batch that is committed again changes nothing") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  REQUIRE(store->commit(batch(1, 2)).has_value());
  REQUIRE(store->commit(batch(1, 2)).has_value());
  CHECK(read(*store, 0) == "u1 u2 c1 ");
}

TEST_CASE("an update received into a file is moved, not copied") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  const auto received = folder / "spool" / "task-11-abc.part";
  auto sink = fl::FileSink::open_named(received, 100);
  REQUIRE(sink.has_value());
  auto bytes = std::vector<std::byte>(100, std::byte{1});
  REQUIRE(sink->write(0, bytes).has_value());
  auto decided = batch(1, 1);
  decided.accepted[0].blob = std::move(*sink).finish();
  REQUIRE(store->commit(decided).has_value());
  CHECK_FALSE(std::filesystem::exists(received));
  CHECK(read(*store, 0) == "u1 ");
}

TEST_CASE("another update's bytes under the same name are never taken for those of an update") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  const auto received = [&](std::uint8_t content) {
    auto sink =
        fl::FileSink::open_named(folder / "spool" / ("task-" + std::to_string(content) + ".part"), 100);
    REQUIRE(sink.has_value());
    REQUIRE(sink->write(0, std::vector<std::byte>(100, std::byte{content})).has_value());
    return fl::ByteSourcePtr(std::move(*sink).finish());
  };
  const auto first = received(1);
  const auto second = received(2);
  // A commit that failed after its files were moved; then the two are decided on in the other order.
  for (const auto& [number, source] : {std::pair(1, second), std::pair(2, first)}) {
    const auto file = std::dynamic_pointer_cast<const fl::FileSource>(source);
    REQUIRE(
        file->keep_as(folder / "updates" / ("000000000" + std::to_string(number) + ".update")).has_value());
  }
  auto decided = batch(1, 2);
  decided.accepted[0].blob = first;
  decided.accepted[1].blob = second;
  REQUIRE(store->commit(decided).has_value());
  CHECK(read(*store, 0) == "u1 u2 c1 ");
}

TEST_CASE("without the ledger a run is not gone on with while updates are in nothing else") {
  const auto folder = fl::test::TemporaryFolder();
  const auto without_ledger = [&] {
    return fl::RunStore::open(folder.path(), {{"small", "fedavg_async", 5}, 2, {false, false, 0}});
  };
  auto store = open(folder);
  REQUIRE(store->save_snapshot(full_state(1), 1).has_value());
  const auto covered = full_state(1).updates_accepted;
  REQUIRE(store->commit(batch(covered + 1, covered + 2)).has_value());
  store = nullptr;
  const auto refused = without_ledger();
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == fl::ec::run_folder_refused);
  CHECK(refused.error().text.find("2 accepted updates") != std::string::npos);
  store = open(folder);
  auto all = full_state(2);
  all.updates_accepted = covered + 2;
  REQUIRE(store->save_snapshot(all, 1).has_value());
  store = nullptr;
  CHECK(without_ledger().has_value());
}

TEST_CASE("what kept snapshots cover is removed; what a crash left without a decision too") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  REQUIRE(store->commit(batch(1, 7)).has_value());
  for (const auto version : {1, 2, 3}) REQUIRE(store->save_snapshot(full_state(version), 1).has_value());
  CHECK(read(*store, 2) == "u5 u6 c3 u7 ");
  CHECK(std::filesystem::exists(folder / "updates" / "0000000005.update"));
  CHECK_FALSE(std::filesystem::exists(folder / "updates" / "0000000004.update"));
  store = nullptr;
  fl::test::write_text(folder / "updates" / "0000000008.update", "not committed");
  store = open(folder);
  CHECK_FALSE(std::filesystem::exists(folder / "updates" / "0000000008.update"));
  CHECK(read(*store, 2) == "u5 u6 c3 u7 ");
}

TEST_CASE("damaged and lost bytes are noticed and named") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  REQUIRE(store->commit(batch(1, 3)).has_value());
  fl::test::write_text(folder / "updates" / "0000000002.update", std::string(100, 'x'));
  CHECK(read(*store, 0).find("u1 corrupt_data") != std::string::npos);
  CHECK(read(*store, 0).find("0000000002.update") != std::string::npos);
  std::filesystem::remove(folder / "updates" / "0000000002.update");
  CHECK(read(*store, 0).find("has lost its bytes") != std::string::npos);
}

TEST_CASE("store.max_bytes refuses a batch as a whole") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder, {true, false, 250});
  REQUIRE(store->commit(batch(1, 2)).has_value());
  const auto refused = store->commit(batch(3, 3));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == fl::ec::store_full);
  CHECK(read(*store, 0) == "u1 u2 c1 ");
  CHECK(store->commit(batch(1, 2)).has_value());  // which is no more than there was
  for (const auto version : {1, 2}) REQUIRE(store->save_snapshot(full_state(version), 1).has_value());
  CHECK(store->commit(batch(3, 3)).has_value());
}

TEST_CASE("versions that were closed but not saved are added at a restart") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  REQUIRE(store->commit(batch(1, 5)).has_value());
  auto first = fl::VersionRecord();
  first.version = 1;
  first.updates = 2;
  first.totals.updates_accepted = 2;
  REQUIRE(store->save_version(first).has_value());
  const auto totals = store->roll_back(2);
  REQUIRE(totals.has_value());
  CHECK(totals->updates_accepted == 4);
  CHECK((*store->last_version())->version == 2);
  CHECK((*store->last_version())->updates == 2);
  CHECK(read(*store, 0) == "u1 u2 c1 u3 u4 c2 u5 ");
}

TEST_CASE("open leases outlive the process until their update is accepted") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  auto task = fl::Task();
  for (const auto client : {1u, 2u}) {
    task.client = client;
    task.id = 10 + client;
    task.base = 4;
    REQUIRE(store->save_lease(task).has_value());
  }
  REQUIRE(store->commit(batch(1, 1)).has_value());  // task 11 of client 1
  store = nullptr;
  store = open(folder);
  const auto leases = store->open_leases();
  REQUIRE(leases.has_value());
  REQUIRE(leases->size() == 1);
  CHECK(leases->front().id == 12);
  CHECK(leases->front().base == 4);
}

TEST_CASE("a folder of the first schema is brought up to date") {
  const auto folder = fl::test::TemporaryFolder();
  {
    auto old = fl::SqliteDatabase::open(folder / "run.db", fl::SqliteDatabase::Access::create);
    REQUIRE(old.has_value());
    REQUIRE(
        old->script(
               "CREATE TABLE run (id INTEGER PRIMARY KEY, run_id TEXT, state TEXT, epoch INTEGER, created_at "
               "TEXT, software_version TEXT) STRICT;"
               "CREATE TABLE updates (sequence INTEGER PRIMARY KEY, task INTEGER NOT NULL, epoch INTEGER NOT "
               "NULL, client INTEGER NOT NULL, base INTEGER NOT NULL, folded_into INTEGER NOT NULL, decision "
               "TEXT NOT NULL, samples INTEGER NOT NULL, staleness INTEGER NOT NULL, weight REAL, train_loss "
               "REAL, train_seconds REAL, norm REAL, bytes INTEGER NOT NULL, time_s REAL NOT NULL) STRICT;"
               "CREATE TABLE versions (version INTEGER PRIMARY KEY) STRICT;"
               "PRAGMA user_version = 1")
            .has_value());
  }
  auto store = open(folder);
  REQUIRE(store->commit(batch(1, 2)).has_value());
  CHECK(read(*store, 0) == "u1 u2 c1 ");
}

TEST_CASE("the ledger knows whose work a replica did, and that it is done") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  auto task = fl::Task();
  task.client = 3;
  task.id = 50;
  REQUIRE(store->save_lease(task).has_value());
  auto accepted = batch(1, 2);
  accepted.accepted[1].record.owner = 3;
  accepted.accepted[1].record.work = 50;
  REQUIRE(store->commit(accepted).has_value());
  store = nullptr;
  store = open(folder);
  CHECK(store->open_leases()->empty());
  const auto newest = store->newest_accepted();
  REQUIRE(newest.has_value());
  auto found = false;
  for (const auto& record : *newest) found = found || (record.owner == 3 && record.work == 50);
  CHECK(found);
}
