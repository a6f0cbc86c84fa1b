#include "runtime/run_store.hpp"
#include "runtime/config.hpp"
#include "runtime/dashboard/run_view.hpp"
#include "runtime/run_history.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include <atomic>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/small_state.hpp"
#include "tests/support/temporary_folder.hpp"

using fl::test::full_state;
using fl::test::holds_all;
using fl::test::read_text;
using fl::test::small_layout;

namespace {

std::shared_ptr<fl::RunStore> open(const fl::test::TemporaryFolder& folder) {
  auto store = fl::RunStore::open(folder.path(), {{"small", "fedavg_async", 5}, 3, {}});
  INFO((store ? std::string() : store.error().text));
  REQUIRE(store.has_value());
  return *store;
}

fl::VersionRecord record(fl::Version version) {
  auto result = fl::VersionRecord();
  result.version = version;
  result.time_s = 1.5 * static_cast<double>(version);
  result.updates = 2;
  result.train_loss = 0.25;
  result.staleness_mean = 0.5;
  result.totals.updates_accepted = 2 * version;
  result.totals.updates_rejected = {{"too_stale", version}};
  result.totals.staleness_sum = 7;
  result.totals.staleness_max = 3;
  result.totals.bytes_up = 100 * version;
  result.totals.bytes_down = 200 * version;
  result.totals.restarts = 1;
  result.totals.wall_seconds = result.time_s;
  return result;
}

fl::UpdateRecord update(fl::TaskId task, fl::Version folded_into, double time_s) {
  auto result = fl::UpdateRecord();
  result.task = task;
  result.folded_into = folded_into;
  result.decision = folded_into == 0 ? fl::ec::too_stale : fl::ec::none;
  result.time_s = time_s;
  return result;
}

fl::LedgerBatch decided(std::vector<fl::UpdateRecord> updates) {
  auto batch = fl::LedgerBatch();
  for (auto& update : updates) {
    if (update.decision == fl::ec::none)
      batch.accepted.push_back({0, update, 0, nullptr, 0});
    else
      batch.refused.push_back(update);
  }
  return batch;
}

/// Saved and completed, as in a run.
void add_version(fl::RunStore& store, fl::Version version, double accuracy) {
  REQUIRE(store.save_version(record(version)).has_value());
  REQUIRE(store.complete_version(version, fl::Evaluation{version, 10, 0.3, accuracy}).has_value());
}

std::vector<nlohmann::json> metrics_in(const fl::test::TemporaryFolder& folder) {
  auto lines = std::vector<nlohmann::json>();
  auto text = std::istringstream(read_text(folder / "metrics.jsonl"));
  for (auto line = std::string(); std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

std::vector<fl::Version> versions_in(const fl::test::TemporaryFolder& folder) {
  auto versions = std::vector<fl::Version>();
  for (const auto& line : metrics_in(folder)) versions.push_back(line["version"]);
  return versions;
}

std::int64_t count(const fl::test::TemporaryFolder& folder, const std::string& from) {
  auto database = fl::SqliteDatabase::open(folder / "run.db", fl::SqliteDatabase::Access::read_only);
  auto result = std::int64_t{-1};
  CHECK(database
            ->run("SELECT count(*) FROM " + from, {}, [&](const fl::SqlRow& row) { result = row.integer(0); })
            .has_value());
  return result;
}

}  // namespace

// -- The run --------------------------------------------------------------------------------------

TEST_CASE("a run keeps its id, state and epochs over restarts") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  const auto id = store->run_id();
  CHECK(id.size() == 32);
  CHECK(*store->state() == fl::RunState::running);
  CHECK(*store->next_epoch() == 1);
  CHECK(*store->next_epoch() == 2);
  CHECK(store->set_state(fl::RunState::stopped).has_value());
  store.reset();
  CHECK_FALSE(std::filesystem::exists(folder / "run.db-wal"));
  CHECK_FALSE(std::filesystem::exists(folder / "spool"));

  store = open(folder);
  CHECK(store->run_id() == id);
  CHECK(*store->state() == fl::RunState::stopped);
  CHECK(*store->next_epoch() > 2);
  CHECK(std::filesystem::is_directory(store->transfer_folder()));

  const auto other_folder = fl::test::TemporaryFolder();
  CHECK(open(other_folder)->run_id() != id);
}

TEST_CASE("a stored run can be read while it is held, and afterwards, without a trace") {
  const auto folder = fl::test::TemporaryFolder();
  CHECK_FALSE(fl::read_stored_run(folder.path())->has_value());
  auto store = open(folder);
  add_version(*store, 1, 0.75);
  add_version(*store, 2, 0.5);
  auto run = fl::read_stored_run(folder.path());
  REQUIRE(run.has_value());
  REQUIRE(run->has_value());
  CHECK((*run)->run_id == store->run_id());
  CHECK((*run)->state == fl::RunState::running);
  CHECK((*run)->last->version == 2);
  CHECK((*run)->best_accuracy == 0.75);

  CHECK(store->set_state(fl::RunState::completed).has_value());
  store.reset();
  const auto before = fl::test::tree_of(folder.path());
  CHECK((*fl::read_stored_run(folder.path()))->state == fl::RunState::completed);
  CHECK(fl::test::tree_of(folder.path()) == before);
}

TEST_CASE("a store of a newer program is refused, and one that is none is an error") {
  const auto folder = fl::test::TemporaryFolder();
  open(folder).reset();
  auto database = fl::SqliteDatabase::open(folder / "run.db", fl::SqliteDatabase::Access::create);
  REQUIRE(database->script("PRAGMA user_version = 99").has_value());
  const auto newer = fl::RunStore::open(folder.path(), {});
  REQUIRE_FALSE(newer.has_value());
  CHECK(newer.error().code == fl::ec::run_folder_refused);
  CHECK(holds_all(newer.error().text, {"run.db", "newer", "99"}));

  const auto other = fl::test::TemporaryFolder();
  fl::test::write_text(other / "run.db", std::string(5000, 'x'));
  CHECK(fl::RunStore::open(other.path(), {}).error().code == fl::ec::io_failed);
  CHECK(fl::read_stored_run(other.path()).error().code == fl::ec::io_failed);
}

// -- Clients --------------------------------------------------------------------------------------

/// A run as the first release with a run store left it: schema 1, without a ledger.
constexpr auto kSchema1 = R"(
  CREATE TABLE run (id INTEGER PRIMARY KEY CHECK (id = 1), run_id TEXT NOT NULL, state TEXT NOT NULL,
    epoch INTEGER NOT NULL, created_at TEXT NOT NULL, software_version TEXT NOT NULL) STRICT;
  CREATE TABLE versions (version INTEGER PRIMARY KEY, time_s REAL NOT NULL, virtual_s REAL,
    updates INTEGER NOT NULL, train_loss REAL, staleness_mean REAL, eval_loss REAL, eval_accuracy REAL,
    evaluated_samples INTEGER, complete INTEGER NOT NULL DEFAULT 0, updates_accepted INTEGER NOT NULL,
    updates_rejected TEXT NOT NULL, staleness_sum REAL NOT NULL, staleness_max INTEGER NOT NULL,
    bytes_up INTEGER NOT NULL, bytes_down INTEGER NOT NULL, restarts INTEGER NOT NULL,
    wall_seconds REAL NOT NULL) STRICT;
  CREATE TABLE updates (sequence INTEGER PRIMARY KEY, task INTEGER NOT NULL, epoch INTEGER NOT NULL,
    client INTEGER NOT NULL, base INTEGER NOT NULL, folded_into INTEGER NOT NULL, decision TEXT NOT NULL,
    samples INTEGER NOT NULL, staleness INTEGER NOT NULL, weight REAL, train_loss REAL, train_seconds REAL,
    norm REAL, bytes INTEGER NOT NULL, time_s REAL NOT NULL) STRICT;
  CREATE INDEX updates_by_version ON updates (folded_into);
  CREATE TABLE clients (client INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    samples INTEGER NOT NULL DEFAULT 0, label_histogram TEXT NOT NULL DEFAULT '[]') STRICT;
  CREATE TABLE snapshots (version INTEGER PRIMARY KEY, file TEXT NOT NULL, bytes INTEGER NOT NULL,
    updates_accepted INTEGER NOT NULL, written_at TEXT NOT NULL) STRICT;
  INSERT INTO run VALUES (1, '00112233445566778899aabbccddeeff', 'stopped', 4, '2026-01-01T00:00:00Z', '0.1');
  INSERT INTO versions VALUES (1, 1.5, NULL, 2, 0.25, 0.5, NULL, NULL, NULL, 1, 2, '{}', 1, 1, 10, 20, 0, 1.5);
  INSERT INTO updates VALUES (1, 1, 1, 0, 0, 1, 'none', 7, 0, 1, 0.2, 0.1, 1, 100, 1);
  INSERT INTO updates VALUES (2, 2, 1, 1, 0, 1, 'none', 7, 0, 1, 0.2, 0.1, 1, 100, 1.2);
  INSERT INTO clients VALUES (0, 'ann', 7, '[]'), (1, 'bob', 7, '[3,4]');
  PRAGMA user_version = 1;
)";

void make_schema_1(const fl::test::TemporaryFolder& folder) {
  auto database = fl::SqliteDatabase::open(folder / "run.db", fl::SqliteDatabase::Access::create);
  REQUIRE(database.has_value());
  REQUIRE(database->script(kSchema1).has_value());
}

TEST_CASE("a run of an older program can be looked at, before and without any change to it") {
  const auto folder = fl::test::TemporaryFolder();
  make_schema_1(folder);
  const auto stored = fl::read_stored_run(folder.path());
  INFO((stored ? std::string() : stored.error().text));
  REQUIRE(stored.has_value());
  REQUIRE(stored->has_value());
  CHECK((*stored)->last->totals.updates_accepted == 2);

  std::ofstream(folder / "config.toml") << fl::to_toml(fl::default_config());
  CHECK(fl::read_history(folder.path())->decisions.size() == 2);
  const auto view = fl::RunView::open(folder.path(), false);
  INFO((view ? std::string() : view.error().text));
  REQUIRE(view.has_value());
  CHECK((*view)->run().value()["updates_accepted"] == 2);
  CHECK((*view)->versions(0).value().size() == 1);
  const auto clients = (*view)->clients().value();
  REQUIRE(clients.size() == 2);
  CHECK(clients[1]["name"] == "bob");
  CHECK(clients[1]["updates"] == 1);
  CHECK(clients[1]["samples_per_s"].is_null());
  CHECK((*view)->events(0).value().empty());
  CHECK((*view)->staleness().value()["counts"][0] == 2);
}

TEST_CASE("a view follows what is decided, also back") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  std::ofstream(folder / "config.toml") << fl::to_toml(fl::default_config());
  const auto view = fl::RunView::open(folder.path(), true).value();
  const auto accept = [&](std::uint64_t number, fl::Version into) {
    auto batch = fl::LedgerBatch();
    batch.accepted.push_back({number, update(number, into, 1.0), 1, nullptr, 0});
    batch.accepted.back().record.decision = fl::ec::none;
    REQUIRE(store->commit(batch).has_value());
  };
  for (auto number = 1u; number <= 5; ++number) accept(number, number);
  CHECK(view->counts().value().accepted == 5);
  REQUIRE(store->roll_back(2).has_value());
  CHECK(view->counts().value().accepted == 2);
  accept(6, 3);
  CHECK(view->counts().value().accepted == 3);

  auto status = fl::RunStatus();
  status.state = "training";
  status.version = 7;
  view->show(status);
  CHECK(view->run().value()["version"] == 7);
  for (auto i = 0; i < 600; ++i) view->note({0, "now", "log", "info", "line " + std::to_string(i)});
  CHECK(view->events(0).value().size() == fl::RunView::kMaxEvents);
  CHECK(view->events(599).value()[0]["text"] == "line 599");
}

TEST_CASE("a store of an older program opens, and a ledger is kept from there on") {
  const auto folder = fl::test::TemporaryFolder();
  make_schema_1(folder);
  const auto opened = fl::RunStore::open(folder.path(), {{"small", "fedavg_async", 5}, 3, {true, false, 0}});
  INFO((opened ? std::string() : opened.error().text));
  REQUIRE(opened.has_value());
  auto& store = **opened;
  CHECK(store.run_id() == "00112233445566778899aabbccddeeff");
  CHECK(store.next_epoch() == fl::Epoch{5});
  CHECK(store.last_version().value()->totals.updates_accepted == 2);
  CHECK(store.bind_client("bob", 2, {}) == fl::ClientId{1});
  CHECK(store.newest_accepted()->empty());
  CHECK(store.open_leases()->empty());
  auto batch = fl::LedgerBatch();
  batch.accepted.push_back(
      {3, update(9, 2, 2.0), 1, std::make_shared<const fl::MemorySource>(fl::AlignedBuffer(8)), 0});
  batch.accepted.back().record.decision = fl::ec::none;
  batch.closings.push_back({2, 3, 1});
  CHECK(store.commit(batch).has_value());
  CHECK(store.newest_accepted()->size() == 1);
}

TEST_CASE("a client has the lowest free place, and keeps it by its name") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  CHECK(*store->bind_client("a", 3, {}) == 0);
  CHECK(*store->bind_client("b", 3, {0}) == 1);
  CHECK(*store->bind_client("a", 3, {1}) == 0);
  store = nullptr;
  store = open(folder);
  CHECK(*store->bind_client("b", 3, {}) == 1);
  CHECK(*store->bind_client("c", 3, {0, 1}) == 2);
  CHECK(*store->bind_client("d", 3, {0, 2}) == 1);  // b is not there: its place goes on
  CHECK(store->bind_client("b", 3, {0, 1, 2}).error().code == fl::ec::hello_refused);
  CHECK(*store->bind_client("b", 3, {1, 2}) == 0);
}

TEST_CASE("clients are kept with what they have") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  REQUIRE(store->bind_client("a", 2, {}).has_value());
  REQUIRE(store->save_client({0, "a", 30, {10, 0, 20}}).has_value());
  REQUIRE(store->save_client({1, "b", 0, {}}).has_value());
  store = nullptr;
  const auto clients = *open(folder)->clients();
  REQUIRE(clients.size() == 2);
  CHECK(clients[0].name == "a");
  CHECK(clients[0].samples == 30);
  CHECK(clients[0].label_histogram == std::vector<std::uint64_t>{10, 0, 20});
  CHECK(clients[1].label_histogram.empty());
}

TEST_CASE("strikes and quarantine outlive the process; a pardon ends both, also while the run goes on") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  CHECK(*store->add_strike("a", "not_finite: NaN", 3) == 1);
  CHECK(*store->add_strike("b", "flood", 3) == 1);
  CHECK(*store->add_strike("a", "bad_claim: lies", 3) == 2);
  CHECK_FALSE(store->quarantine_reason("a")->has_value());
  CHECK(store->quarantined()->empty());
  store = nullptr;
  store = open(folder);
  CHECK(*store->add_strike("a", "flood: much", 3) == 3);
  CHECK(**store->quarantine_reason("a") == "flood: much");
  CHECK(*store->quarantined() == std::vector<std::string>{"a"});
  store = nullptr;
  store = open(folder);
  CHECK(store->quarantine_reason("a")->has_value());
  CHECK_FALSE(store->quarantine_reason("b")->has_value());

  CHECK(fl::pardon_client(folder.path(), "b").error().code == fl::ec::bad_config);
  CHECK(holds_all(fl::pardon_client(folder.path(), "c").error().text, {"c", "quarantined"}));
  CHECK(fl::pardon_client(folder.path() / "nothing", "a").error().code == fl::ec::bad_config);
  REQUIRE(fl::pardon_client(folder.path(), "a").has_value());
  CHECK_FALSE(store->quarantine_reason("a")->has_value());
  CHECK(*store->add_strike("a", "again", 3) == 1);
}

// -- Versions and metrics -------------------------------------------------------------------------

TEST_CASE("a line of metrics.jsonl has exactly the documented keys") {
  auto version = record(3);
  version.eval_accuracy = 0.5;
  version.eval_loss = 1.25;
  CHECK(fl::metrics_line(version) ==
        R"({"version":3,"time_s":4.5,"virtual_s":null,"updates":2,"train_loss":0.25,"eval_loss":1.25,)"
        R"("eval_accuracy":0.5,"staleness_mean":0.5,"bytes_up":300,"bytes_down":600})");
  version.eval_accuracy = {};
  version.virtual_s = 86400;
  version.train_loss = std::numeric_limits<double>::quiet_NaN();
  const auto line = nlohmann::json::parse(fl::metrics_line(version));
  CHECK(line["eval_accuracy"].is_null());
  CHECK(line["virtual_s"] == 86400);
  CHECK(line["train_loss"].is_null());
}

TEST_CASE("a version's line is written once it is complete, never twice") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  REQUIRE(store->save_version(record(1)).has_value());
  REQUIRE(store->save_version(record(2)).has_value());
  CHECK(metrics_in(folder).empty());
  REQUIRE(store->complete_version(1, fl::Evaluation{1, 10, 0.5, 0.25}).has_value());
  REQUIRE(store->complete_version(2, std::nullopt).has_value());
  REQUIRE(store->complete_version(2, fl::Evaluation{2, 10, 0.5, 0.25}).has_value());
  const auto lines = metrics_in(folder);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0]["eval_accuracy"] == 0.25);
  CHECK(lines[1]["eval_accuracy"].is_null());
  CHECK(versions_in(folder) == std::vector<fl::Version>{1, 2});
  CHECK(store->best_accuracy() == 0.25);
}

TEST_CASE("a version that is told again takes its own place, in metrics.jsonl too") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  add_version(*store, 1, 0.1);
  add_version(*store, 2, 0.2);
  // Metrics crashed after it; what the ledger said of it is in the table, and it comes again.
  REQUIRE(store->roll_back(2).has_value());
  REQUIRE(store->save_version(record(2)).has_value());
  REQUIRE(store->save_version(record(3)).has_value());
  REQUIRE(store->complete_version(2, fl::Evaluation{2, 10, 0.5, 0.75}).has_value());
  REQUIRE(store->complete_version(3, std::nullopt).has_value());
  CHECK(versions_in(folder) == std::vector<fl::Version>{1, 2, 3});
  CHECK(metrics_in(folder)[1]["eval_accuracy"] == 0.75);
  CHECK(count(folder, "versions") == 3);
}

TEST_CASE("what is stored comes back, totals included") {
  const auto folder = fl::test::TemporaryFolder();
  CHECK_FALSE(open(folder)->best_accuracy().has_value());
  CHECK_FALSE((*open(folder)->last_version()).has_value());
  add_version(*open(folder), 4, 0.9);
  const auto last = *open(folder)->last_version();
  REQUIRE(last.has_value());
  CHECK(last->version == 4);
  CHECK(last->time_s == 6);
  CHECK_FALSE(last->virtual_s.has_value());
  CHECK(last->eval_accuracy == 0.9);
  CHECK(last->totals.updates_rejected == std::map<std::string, std::uint64_t>{{"too_stale", 4}});
  CHECK(last->totals.staleness_sum == 7);
  CHECK(last->totals.staleness_max == 3);
  CHECK(last->totals.bytes_up == 400);
  CHECK(last->totals.restarts == 1);
}

TEST_CASE("a roll-back forgets what came later and repairs metrics.jsonl") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  for (fl::Version version = 1; version <= 3; ++version)
    add_version(*store, version, 0.1 * static_cast<double>(version));
  REQUIRE(store->save_version(record(4)).has_value());  // a crash comes before its evaluation
  REQUIRE(store->save_version(record(5)).has_value());
  REQUIRE(store->save_snapshot(full_state(4), 9).has_value());
  REQUIRE(store->save_snapshot(full_state(5), 9).has_value());
  REQUIRE(store
              ->commit(decided(
                  {update(1, 3, 4), update(2, 0, 5), update(3, 4, 6), update(4, 5, 7.4), update(5, 0, 7)}))
              .has_value());
  store = nullptr;
  fl::test::write_text(folder / "metrics.jsonl", read_text(folder / "metrics.jsonl") + R"({"version":4,"ti)");

  store = open(folder);
  const auto totals = store->roll_back(4);
  REQUIRE(totals.has_value());
  CHECK(totals->updates_accepted == 8);
  CHECK(totals->bytes_down == 800);
  CHECK(versions_in(folder) == std::vector<fl::Version>{1, 2, 3, 4});
  CHECK(count(folder, "updates") == 3);
  CHECK(count(folder, "updates WHERE folded_into = 0") == 1);
  CHECK(count(folder, "snapshots") == 1);
  CHECK((*store->load_snapshot(small_layout()))->state.version == 4);

  // The run goes on: each version has one line.
  REQUIRE(store->complete_version(4, fl::Evaluation{4, 1, 1, 1}).has_value());
  add_version(*store, 5, 0.5);
  CHECK(versions_in(folder) == std::vector<fl::Version>{1, 2, 3, 4, 5});

  const auto nothing = store->roll_back(0);
  CHECK(nothing->updates_accepted == 0);
  CHECK(nothing->updates_rejected.empty());
  CHECK(versions_in(folder).empty());
  CHECK(count(folder, "updates") == 0);
  CHECK_FALSE(store->load_snapshot(small_layout())->has_value());
}

TEST_CASE("snapshots are listed as they are kept") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  for (fl::Version version = 1; version <= 5; ++version)
    REQUIRE(store->save_snapshot(full_state(version), version).has_value());
  CHECK(count(folder, "snapshots") == 3);
  CHECK(count(folder, "snapshots WHERE version >= 3 AND bytes > 500 AND updates_accepted = 3 * version") ==
        3);
  CHECK((*store->load_snapshot(small_layout()))->next_task == 5);
}

TEST_CASE("many threads may use one store") {
  const auto folder = fl::test::TemporaryFolder();
  auto store = open(folder);
  auto threads = std::vector<std::thread>();
  auto failures = std::atomic<int>(0);
  for (auto thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (auto i = 0; i < 50; ++i) {
        if (!store->commit(decided({update(1, 1, 1)}))) ++failures;
        if (!store->save_version(record(static_cast<fl::Version>(100 * thread + i)))) ++failures;
        if (!store->next_epoch()) ++failures;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(failures == 0);
  CHECK(count(folder, "updates") == 200);
  CHECK(count(folder, "versions") == 200);
  CHECK(*store->next_epoch() == 201);
}
