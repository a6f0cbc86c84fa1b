#include "runtime/durable_steps.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "messages/envelope.hpp"
#include "messages/file_source.hpp"
#include "runtime/run_store.hpp"
#include "tests/support/small_state.hpp"
#include "tests/support/temporary_folder.hpp"

using fl::test::full_state;
using fl::test::TemporaryFolder;

namespace {

fl::Result<std::shared_ptr<fl::RunStore>> open(const std::filesystem::path& folder) {
  return fl::RunStore::open(folder, {{"small", "fedavg_async", 5}, 1, {true, false, 0}});
}

/// One accepted update that makes one version, received into a file.
fl::Result<fl::LedgerBatch> batch_of(std::uint64_t number, const std::filesystem::path& folder) {
  auto update = fl::LedgerUpdate();
  update.number = number;
  update.record.task = 10 + number;
  update.record.epoch = 1;
  update.record.folded_into = number;
  update.record.samples = 1;
  update.record.bytes = 100;
  update.record.weight = update.divisor = 1;
  const auto bytes = std::vector<std::byte>(100, static_cast<std::byte>(number));
  auto sink = fl::FileSink::open_named(folder / "spool" / ("task-" + std::to_string(number) + "-0.part"),
                                       bytes.size());
  if (!sink) return tl::unexpected(sink.error());
  if (auto ok = sink->write(0, bytes); !ok) return tl::unexpected(ok.error());
  update.blob = std::move(*sink).finish();
  update.hash = fl::hash_of(std::span(bytes));
  auto batch = fl::LedgerBatch();
  batch.accepted.push_back(std::move(update));
  batch.closings.push_back({number, number, 1});
  return batch;
}

constexpr auto kUpdates = 4;

/// Commits updates and takes a snapshot after every second; calls `told` with the number of each that it
/// could acknowledge.
fl::Result<void> work(const std::filesystem::path& folder, const std::function<void(std::uint64_t)>& told) {
  auto store = open(folder);
  if (!store) return tl::unexpected(store.error());
  for (auto number = std::uint64_t{1}; number <= kUpdates; ++number) {
    const auto batch = batch_of(number, folder);
    if (!batch) return tl::unexpected(batch.error());
    if (auto ok = (*store)->commit(*batch); !ok) return ok;
    told(number);
    if (number % 2 == 0)
      if (auto ok = (*store)->save_snapshot(full_state(number), number + 1); !ok) return ok;
  }
  return {};
}

/// The newest version that the snapshot and the ledger give, every update between them checked.
std::uint64_t recovered(const std::filesystem::path& folder) {
  auto store = open(folder);
  REQUIRE(store.has_value());
  const auto snapshot = (*store)->load_snapshot(full_state(1).model->layout());
  REQUIRE(snapshot.has_value());
  auto version = *snapshot ? (*snapshot)->state.version : 0;
  auto reader = fl::LedgerReader();
  reader.on_update = [&](const fl::LedgerUpdate& update) -> fl::Result<void> {
    CHECK(update.number == version + 1);
    return {};
  };
  reader.on_closing = [&](const fl::LedgerClosing& closing) -> fl::Result<void> {
    version = closing.version;
    return {};
  };
  const auto done = (*store)->read_ledger(version, reader);
  INFO((done ? std::string() : to_string(done.error())));
  REQUIRE(done.has_value());
  return version;
}

}  // namespace

TEST_CASE("a process that dies at any write, SQLite's own included, loses nothing that it acknowledged") {
  auto deaths = 0;
  for (auto n = 1; n < 1000; ++n) {
    CAPTURE(n);
    const auto folder = TemporaryFolder();
    int pipe[2];
    REQUIRE(::pipe(pipe) == 0);
    const auto child = ::fork();
    if (child == 0) {
      ::close(STDERR_FILENO);
      fl::die_at_durable_step(n);
      const auto tell = [&](std::uint64_t number) {
        const auto byte = static_cast<char>(number);
        (void)!::write(pipe[1], &byte, 1);
      };
      ::_exit(work(folder.path(), tell) ? 0 : 1);
    }
    ::close(pipe[1]);
    auto told = std::uint64_t{0};
    for (auto byte = char(); ::read(pipe[0], &byte, 1) == 1;) told = static_cast<std::uint64_t>(byte);
    ::close(pipe[0]);
    auto status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    const auto version = recovered(folder.path());
    CHECK(version >= told);
    CHECK(version <= told + 1);
    // What was not acknowledged is decided again, under the next number.
    auto store = open(folder.path());
    REQUIRE(store.has_value());
    CHECK((*store)->commit(batch_of(version + 1, folder.path()).value()).has_value());
    store->reset();
    CHECK(recovered(folder.path()) == version + 1);
    if (WIFEXITED(status)) {
      CHECK(WEXITSTATUS(status) == 0);
      break;
    }
    CHECK(WTERMSIG(status) == SIGKILL);
    ++deaths;
  }
  MESSAGE("died at " << deaths << " writes");
  CHECK(deaths > 80);
}

TEST_CASE("whichever write finds the disk full, what was acknowledged stays, and the rest is done again") {
  auto failures = 0;
  for (auto n = 1; n < 1000; ++n) {
    CAPTURE(n);
    const auto folder = TemporaryFolder();
    auto left = n;
    fl::set_durable_step_hook_with_sqlite(
        [&](std::string_view, const std::filesystem::path&) -> fl::Result<void> {
          if (--left == 0) return fl::fail(fl::ec::store_full, "no room, on purpose");
          return {};
        });
    auto told = std::uint64_t{0};
    const auto done = work(folder.path(), [&](std::uint64_t number) { told = number; });
    fl::set_durable_step_hook({});
    CHECK(recovered(folder.path()) >= told);
    if (left > 0) {
      CHECK(done.has_value());
      break;
    }
    if (!done) ++failures;
  }
  CHECK(failures > 40);
}

TEST_CASE("a scheduler can be restarted while the disk is full") {
  const auto folder = TemporaryFolder();
  auto store = open(folder.path()).value();
  auto last = *store->next_epoch();
  fl::set_durable_step_hook_with_sqlite(
      [](std::string_view, const std::filesystem::path&) -> fl::Result<void> {
        return fl::fail(fl::ec::store_full, "no room");
      });
  CHECK_FALSE(store->set_state(fl::RunState::stopped).has_value());
  for (auto life = 0; life < 99; ++life) CHECK(store->next_epoch() == ++last);
  CHECK_FALSE(store->next_epoch().has_value());
  fl::set_durable_step_hook_with_sqlite({});
  CHECK(store->next_epoch() == ++last);
}
