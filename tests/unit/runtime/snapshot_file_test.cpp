#include "runtime/snapshot_file.hpp"

#include <doctest/doctest.h>

#include "messages/durable_step.hpp"
#include "runtime/atomic_file.hpp"
#include "tests/support/small_state.hpp"
#include "tests/support/temporary_folder.hpp"

using fl::test::full_state;
using fl::test::holds_all;
using fl::test::model_state;
using fl::test::read_text;
using fl::test::same_values;
using fl::test::small_layout;
using fl::test::write_text;

namespace {

const auto kIdentity = fl::SnapshotIdentity{"small", "fedavg_async", 5};

fl::SnapshotFolder folder_in(const fl::test::TemporaryFolder& place, std::uint32_t keep = 3) {
  return {place / "checkpoints", kIdentity, keep};
}

/// The version of the snapshot that is loaded.
std::optional<fl::Version> loaded_version(fl::SnapshotFolder& folder) {
  const auto snapshot = folder.load(small_layout());
  REQUIRE(snapshot.has_value());
  if (!snapshot->has_value()) return std::nullopt;
  return (*snapshot)->state.version;
}

}  // namespace

TEST_CASE("a snapshot holds the whole state") {
  const auto place = fl::test::TemporaryFolder();
  auto folder = folder_in(place);
  CHECK_FALSE(loaded_version(folder).has_value());
  const auto file = folder.save(full_state(12), 34);
  REQUIRE(file.has_value());
  CHECK(*file == place / "checkpoints/version-00000012.snapshot");

  const auto snapshot = folder.load(small_layout());
  REQUIRE(snapshot.has_value());
  REQUIRE(snapshot->has_value());
  const auto& state = (*snapshot)->state;
  const auto expected = full_state(12);
  CHECK((*snapshot)->next_task == 34);
  CHECK(state.version == 12);
  CHECK(state.updates_accepted == 36);
  CHECK(same_values(*state.model, *expected.model));
  CHECK(same_values(state.optimizer_m, expected.optimizer_m));
  CHECK(same_values(state.optimizer_v, expected.optimizer_v));
  CHECK(same_values(state.buffer_sum, expected.buffer_sum));
  CHECK(state.buffer.divisor == 1.5);
  CHECK(state.buffer.count == 2);
  CHECK(state.buffer.clients == std::vector<fl::ClientId>{4, 7});
}

TEST_CASE("arrays that the state does not have are empty again") {
  const auto place = fl::test::TemporaryFolder();
  auto folder = folder_in(place);
  REQUIRE(folder.save(model_state(1), 1).has_value());
  const auto snapshot = folder.load(small_layout());
  const auto& state = (*snapshot)->state;
  CHECK(state.optimizer_m.size() == 0);
  CHECK(state.optimizer_v.size() == 0);
  CHECK(state.buffer_sum.size() == 0);
  CHECK(state.buffer.count == 0);
}

TEST_CASE("the last snapshots are kept, and a version is saved anew in place") {
  const auto place = fl::test::TemporaryFolder();
  auto folder = folder_in(place, 2);
  for (fl::Version version = 8; version <= 11; ++version)
    REQUIRE(folder.save(model_state(version), 1).has_value());
  CHECK(folder.versions() == std::vector<fl::Version>{10, 11});
  REQUIRE(folder.save(full_state(11), 99).has_value());
  CHECK(folder.versions() == std::vector<fl::Version>{10, 11});
  CHECK((*folder.load(small_layout()))->next_task == 99);
  REQUIRE(folder.remove_above(10).has_value());
  CHECK(folder.versions() == std::vector<fl::Version>{10});
}

TEST_CASE("a truncated snapshot is never loaded: the one before it is") {
  const auto place = fl::test::TemporaryFolder();
  auto folder = folder_in(place);
  REQUIRE(folder.save(full_state(1), 1).has_value());
  REQUIRE(folder.save(full_state(2), 1).has_value());
  const auto file = folder.file_of(2);
  const auto whole = read_text(file);
  for (std::size_t sixteenth = 0; sixteenth < 16; ++sixteenth) {
    CAPTURE(sixteenth);
    write_text(file, whole.substr(0, whole.size() * sixteenth / 16));
    CHECK(loaded_version(folder) == 1);
    CHECK_FALSE(std::filesystem::exists(file));
    CHECK(std::filesystem::exists(file.string() + ".damaged"));
  }
  write_text(file, whole);
  CHECK(loaded_version(folder) == 2);
}

TEST_CASE("a flipped bit anywhere is noticed, or does not matter") {
  const auto place = fl::test::TemporaryFolder();
  auto folder = folder_in(place);
  REQUIRE(folder.save(full_state(1), 7).has_value());
  const auto file = folder.file_of(1);
  const auto whole = read_text(file);
  auto unnoticed = std::size_t{0};
  for (std::size_t at = 0; at < whole.size(); ++at) {
    auto damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    write_text(file, damaged);
    const auto snapshot = fl::read_snapshot(file, small_layout(), kIdentity);
    if (!snapshot) {
      CHECK(snapshot.error().code == fl::ec::corrupt_data);
      continue;
    }
    ++unnoticed;  // between the arrays
    CHECK(same_values(*snapshot->state.model, *full_state(1).model));
    CHECK(same_values(snapshot->state.buffer_sum, full_state(1).buffer_sum));
    CHECK(snapshot->next_task == 7);
  }
  CHECK(unnoticed < 4 * 64);
}

TEST_CASE("with all snapshots damaged there is none") {
  const auto place = fl::test::TemporaryFolder();
  auto folder = folder_in(place);
  REQUIRE(folder.save(full_state(1), 1).has_value());
  write_text(folder.file_of(1), "nonsense");
  CHECK_FALSE(loaded_version(folder).has_value());
}

TEST_CASE("a whole snapshot of another run is refused and left alone") {
  const auto place = fl::test::TemporaryFolder();
  auto folder = folder_in(place);
  REQUIRE(folder.save(full_state(3), 1).has_value());
  const auto refusal = [&](const fl::SnapshotIdentity& identity, const fl::LayoutPtr& layout) {
    const auto snapshot = fl::SnapshotFolder(place / "checkpoints", identity, 3).load(layout);
    REQUIRE_FALSE(snapshot.has_value());
    CHECK(snapshot.error().code == fl::ec::run_folder_refused);
    return snapshot.error().text;
  };
  CHECK(holds_all(refusal({"other", "fedavg_async", 5}, small_layout()),
                  {"model.name", "small", "other", "--out"}));
  CHECK(holds_all(refusal({"small", "fedbuff", 5}, small_layout()),
                  {"strategy.name", "fedavg_async", "fedbuff"}));
  CHECK(holds_all(refusal({"small", "fedavg_async", 6}, small_layout()), {"run.seed", "5", "6"}));
  auto layout = *small_layout();
  layout.add("more", {2});
  CHECK(holds_all(refusal(kIdentity, std::make_shared<const fl::Layout>(layout)),
                  {"29 parameters in 3", "31 in 4"}));
  CHECK(loaded_version(folder) == 3);
}

TEST_CASE("a write that fails half-way leaves the snapshots before it, and its remains are removed") {
  const auto place = fl::test::TemporaryFolder();
  auto folder = folder_in(place);
  REQUIRE(folder.save(full_state(1), 1).has_value());
  auto steps = 0;
  fl::set_durable_step_hook([&](std::string_view, const std::filesystem::path&) -> fl::Result<void> {
    if (++steps == 4) return fl::fail(fl::ec::io_failed, "on purpose");
    return {};
  });
  const auto failed = folder.save(full_state(2), 1);
  fl::set_durable_step_hook({});
  CHECK(failed.error().code == fl::ec::io_failed);
  CHECK(folder.versions() == std::vector<fl::Version>{1});

  write_text(place / "checkpoints/version-00000002.snapshot.tmp", "half");
  CHECK(loaded_version(folder) == 1);
  CHECK_FALSE(std::filesystem::exists(place / "checkpoints/version-00000002.snapshot.tmp"));
}
