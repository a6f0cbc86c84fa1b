#include "runtime/tensorboard_file.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "messages/durable_step.hpp"
#include "runtime/run_store.hpp"
#include "tensorboard.pb.h"
#include "tests/support/temporary_folder.hpp"

using fl::tensorboard::Event;
using fl::tensorboard::SessionLog;
using fl::test::read_text;
using fl::test::TemporaryFolder;

namespace {

constexpr auto kStart = SessionLog::START;

fl::VersionRecord record(fl::Version version) {
  auto result = fl::VersionRecord();
  result.version = version;
  result.updates = 2;
  result.train_loss = 0.25;
  result.staleness_mean = 0;
  result.totals.updates_accepted = 2 * version;
  result.totals.bytes_up = 100 * version;
  result.totals.bytes_down = 200 * version;
  return result;
}

/// The files of a folder, oldest first.
std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
  auto files = std::vector<std::filesystem::path>();
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

/// All events of a file, whose lengths and checksums are checked.
std::vector<Event> events_in(const std::filesystem::path& file) {
  const auto content = read_text(file);
  const auto number = [&](auto value, std::size_t at) {
    REQUIRE(at + sizeof value <= content.size());
    std::memcpy(&value, content.data() + at, sizeof value);
    return value;
  };
  auto events = std::vector<Event>();
  for (auto at = std::size_t{0}; at < content.size();) {
    const auto length = number(std::uint64_t{0}, at);
    CHECK(number(std::uint32_t{0}, at + 8) == fl::masked_crc32c({content.data() + at, 8}));
    REQUIRE(length <= content.size() - at - 12);
    const auto data = std::string_view(content).substr(at + 12, length);
    CHECK(number(std::uint32_t{0}, at + 12 + length) == fl::masked_crc32c(data));
    REQUIRE(events.emplace_back().ParseFromArray(data.data(), static_cast<int>(length)));
    at += 16 + length;
  }
  return events;
}

std::map<std::string, float> scalars_of(const Event& event) {
  auto scalars = std::map<std::string, float>();
  for (const auto& value : event.summary().value()) {
    CHECK(value.has_simple_value());
    scalars[value.tag()] = value.simple_value();
  }
  return scalars;
}

/// In order: "start 3" where a session begins at step 3, "3" for the scalars of version 3.
std::vector<std::string> outline(const std::vector<Event>& events) {
  auto lines = std::vector<std::string>();
  for (const auto& event : events) {
    if (event.has_file_version()) continue;
    CHECK(event.has_session_log() == (event.session_log().status() == kStart));
    lines.push_back((event.has_session_log() ? "start " : "") + std::to_string(event.step()));
  }
  return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("the checksums are those of iSCSI (RFC 3720), masked") {
  CHECK(fl::masked_crc32c("") == 0xa282ead8u);
  CHECK(fl::masked_crc32c("123456789") == 0xc78ab0e5u);  // of 0xe3069283
}

TEST_CASE("an event file says its format, where it begins, and the scalars of each version") {
  const auto folder = TemporaryFolder();
  const auto before = std::chrono::system_clock::now();
  {
    auto file = fl::TensorboardFile(folder / "tensorboard");
    file.go_on_with(1);
    CHECK_FALSE(std::filesystem::exists(folder / "tensorboard"));
    auto version = record(1);
    version.eval_accuracy = 0.5;
    version.eval_loss = 1.5;
    version.eval_metrics = {{"auroc", 0.75}};
    file.append(version);
    version = record(2);
    version.updates = 0;
    file.append(version);
  }
  const auto files = files_in(folder / "tensorboard");
  REQUIRE(files.size() == 1);
  CHECK(files[0].filename().string().starts_with("events.out.tfevents."));
  const auto events = events_in(files[0]);
  CHECK(events[0].file_version() == "brain.Event:2");
  CHECK(outline(events) == Lines{"start 1", "1", "2"});
  CHECK(scalars_of(events[2]) == std::map<std::string, float>{{"eval/accuracy", 0.5f},
                                                              {"eval/loss", 1.5f},
                                                              {"eval/auroc", 0.75f},
                                                              {"train/loss", 0.25f},
                                                              {"updates/staleness_mean", 0.0f},
                                                              {"updates/accepted", 2.0f},
                                                              {"bytes/up", 100.0f},
                                                              {"bytes/down", 200.0f}});
  CHECK(scalars_of(events[3]) == std::map<std::string, float>{{"updates/accepted", 4.0f},
                                                              {"bytes/up", 200.0f},
                                                              {"bytes/down", 400.0f}});
  const auto seconds = [](auto time) {
    return std::chrono::duration<double>(time.time_since_epoch()).count();
  };
  for (const auto& event : events) {
    CHECK(event.wall_time() >= seconds(before));
    CHECK(event.wall_time() <= seconds(std::chrono::system_clock::now()));
  }
}

TEST_CASE("each life of a run has a file of its own, even within one second") {
  const auto folder = TemporaryFolder();
  for (auto life = fl::Version{1}; life <= 3; ++life) {
    auto file = fl::TensorboardFile(folder.path());
    file.go_on_with(life);
    file.append(record(life));
  }
  const auto files = files_in(folder.path());
  REQUIRE(files.size() == 3);
  for (auto life = std::size_t{0}; life < 3; ++life) {
    const auto number = std::to_string(life + 1);
    CHECK(outline(events_in(files[life])) == Lines{"start " + number, number});
  }
}

TEST_CASE("without room versions are left out, and what is written stays whole") {
  const auto folder = TemporaryFolder();
  auto file = fl::TensorboardFile(folder.path());
  file.go_on_with(1);
  fl::set_durable_step_hook([](std::string_view, const std::filesystem::path&) -> fl::Result<void> {
    return fl::fail(fl::ec::store_full, "the disk is full");
  });
  file.append(record(1));
  CHECK(files_in(folder.path()).empty());
  fl::set_durable_step_hook(nullptr);
  file.append(record(2));
  const auto path = files_in(folder.path()).at(0);
  CHECK(outline(events_in(path)) == Lines{"start 1", "2"});

  // Room for half a record.
  auto limit = rlimit();
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit) == 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const auto little = rlimit{std::filesystem::file_size(path) + 20, limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &little) == 0);
  file.append(record(3));
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  ::signal(SIGXFSZ, handler);
  CHECK(outline(events_in(path)) == Lines{"start 1", "2"});
  file.append(record(4));
  CHECK(outline(events_in(path)) == Lines{"start 1", "2", "4"});
}

TEST_CASE("a run store writes for TensorBoard each version once, and says where a run goes on") {
  const auto folder = TemporaryFolder();
  const auto open = [&](bool tensorboard) {
    return fl::RunStore::open(folder.path(), {{"small", "fedavg_async", 5}, 3, {}, tensorboard}).value();
  };
  const auto complete = [](fl::RunStore& store, fl::Version version) {
    CHECK(store.save_version(record(version)).has_value());
    CHECK(store.complete_version(version, fl::Evaluation{version, 10, 0.3, 0.5}).has_value());
  };
  {
    const auto store = open(false);
    complete(*store, 1);
  }
  CHECK_FALSE(std::filesystem::exists(folder / "tensorboard"));

  constexpr auto kNewest = fl::Version{1} << 62;
  {
    const auto store = open(true);
    REQUIRE(store->roll_back(kNewest).has_value());
    for (auto version = fl::Version{2}; version <= 4; ++version) complete(*store, version);
    CHECK(store->save_version(record(5)).has_value());  // its evaluation never comes
  }
  {
    const auto store = open(true);
    REQUIRE(store->roll_back(kNewest).has_value());
    REQUIRE(store->roll_back(3).has_value());
    complete(*store, 4);
  }
  const auto files = files_in(folder / "tensorboard");
  REQUIRE(files.size() == 2);
  CHECK(outline(events_in(files[0])) == Lines{"start 2", "2", "3", "4"});
  const auto events = events_in(files[1]);
  CHECK(outline(events) == Lines{"start 6", "5", "start 4", "4"});
  CHECK_FALSE(scalars_of(events[2]).contains("eval/loss"));
  CHECK(scalars_of(events[4]).at("eval/loss") == 0.3f);
}
