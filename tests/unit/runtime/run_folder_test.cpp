#include "runtime/run_folder.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/run_store.hpp"
#include "tests/support/temporary_folder.hpp"

using fl::test::holds_all;
using fl::test::tree_of;
using Start = fl::RunFolder::Start;

namespace {

fl::RunFolderRequest request(const std::filesystem::path& folder, bool resume = false,
                             fl::Role role = fl::Role::simulate) {
  return {folder, role, resume};
}

fl::Config config_with(const std::string& key, const std::string& value) {
  return *fl::load_config(fl::ConfigSources{{}, {{key, value, "test"}}});
}

/// A run that has ended in this state.
void make_run(const std::filesystem::path& folder, fl::RunState state) {
  auto held = fl::RunFolder::open(request(folder), fl::default_config());
  REQUIRE(held.has_value());
  auto store = fl::RunStore::open(folder, {});
  REQUIRE(store.has_value());
  REQUIRE((*store)->set_state(state).has_value());
}

/// The text of a refusal that has changed nothing.
std::string refusal(const fl::RunFolderRequest& asked, const fl::Config& config = fl::default_config()) {
  const auto before = tree_of(*asked.folder);
  const auto held = fl::RunFolder::open(asked, config);
  REQUIRE_FALSE(held.has_value());
  CHECK(held.error().code == fl::ec::run_folder_refused);
  CHECK(tree_of(*asked.folder) == before);
  CHECK(fl::RunFolder::examine(asked, config).has_value() == false);
  return held.error().text;
}

}  // namespace

TEST_CASE("a fresh run gets its folder, its settings and its lock") {
  const auto place = fl::test::TemporaryFolder();
  const auto config = config_with("run.seed", "9");
  auto held = fl::RunFolder::open(request(place / "a" / "b"), config);
  REQUIRE(held.has_value());
  CHECK(held->start() == Start::fresh);
  CHECK(held->path() == place / "a" / "b");
  CHECK(fl::test::read_text(held->path() / "config.toml") == fl::to_toml(config));
  const auto holder = fl::holder_of(held->path());
  REQUIRE(holder.has_value());
  CHECK(holder->process == ::getpid());
  CHECK_FALSE(holder->address.has_value());

  REQUIRE(held->announce({"127.0.0.1", 4711}).has_value());
  CHECK(fl::holder_of(held->path())->address == fl::HostPort{"127.0.0.1", 4711});
  {
    const auto moved = std::move(*held);
    CHECK(fl::holder_of(place / "a" / "b").has_value());
  }
  CHECK_FALSE(fl::holder_of(place / "a" / "b").has_value());
  CHECK_FALSE(fl::holder_of(place / "missing").has_value());
}

TEST_CASE("without --out the folder is named after the time and the role") {
  const auto place = fl::test::TemporaryFolder();
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(place.path());
  const auto first = fl::RunFolder::open({std::nullopt, fl::Role::aggregator, false}, fl::default_config());
  const auto second = fl::RunFolder::open({std::nullopt, fl::Role::aggregator, false}, fl::default_config());
  std::filesystem::current_path(here);
  REQUIRE(first.has_value());
  REQUIRE(second.has_value());
  CHECK(first->path() != second->path());
  CHECK(first->path().parent_path() == "runs");
  CHECK(first->path().filename().string().ends_with("Z-aggregator"));
}

TEST_CASE("a folder that another process holds is refused with its process id") {
  const auto place = fl::test::TemporaryFolder();
  const auto folder = place / "run";
  int ready[2];
  int finish[2];
  REQUIRE(::pipe(ready) == 0);
  REQUIRE(::pipe(finish) == 0);
  const auto child = ::fork();
  if (child == 0) {
    auto held = fl::RunFolder::open(request(folder), fl::default_config());
    auto told = held && held->announce({"127.0.0.1", 17}) && ::write(ready[1], "x", 1) == 1;
    auto byte = char();
    told = told && ::read(finish[0], &byte, 1) == 1;
    ::_exit(told ? 0 : 1);
  }
  auto byte = char();
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  const auto pid = std::to_string(child);
  CHECK(holds_all(refusal(request(folder)), {"in use", "process " + pid, "127.0.0.1:17", "--out"}));
  CHECK(holds_all(refusal(request(folder, true)), {"process " + pid}));
  REQUIRE(::write(finish[1], "x", 1) == 1);
  auto status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  for (const auto descriptor : {ready[0], ready[1], finish[0], finish[1]}) ::close(descriptor);
  CHECK_FALSE(fl::holder_of(folder).has_value());
  CHECK(fl::RunFolder::open(request(folder, true), fl::default_config())->start() == Start::resumed);
}

TEST_CASE("a folder that holds a run is only for those who resume it") {
  const auto place = fl::test::TemporaryFolder();
  make_run(place / "run", fl::RunState::stopped);
  CHECK(holds_all(refusal(request(place / "run")), {"already holds a run", "--resume", "--out"}));
  const auto held = fl::RunFolder::open(request(place / "run", true), config_with("run.max_versions", "20"));
  REQUIRE(held.has_value());
  CHECK(held->start() == Start::resumed);
  CHECK(holds_all(fl::test::read_text(place / "run" / "config.toml"), {"max_versions = 20"}));
}

TEST_CASE("a resume as another run is refused with the key that differs") {
  const auto place = fl::test::TemporaryFolder();
  make_run(place / "run", fl::RunState::stopped);
  CHECK(holds_all(refusal(request(place / "run", true), config_with("model.name", "mlp_2nn")),
                  {"another run", "model.name", "simple_cnn", "mlp_2nn", "--config"}));
  CHECK(
      holds_all(refusal(request(place / "run", true), config_with("run.seed", "2")), {"run.seed is 1", "2"}));
  fl::test::write_text(place / "run" / "config.toml", "[run]\nsede = 1\n");
  CHECK(holds_all(refusal(request(place / "run", true)), {"cannot be resumed", "config.toml:2", "run.seed"}));
  std::filesystem::remove(place / "run" / "config.toml");
  CHECK(fl::RunFolder::open(request(place / "run", true), fl::default_config())->start() == Start::resumed);
}

TEST_CASE("a completed run stays as it is") {
  const auto place = fl::test::TemporaryFolder();
  make_run(place / "run", fl::RunState::completed);
  const auto before = tree_of(place.path());
  const auto held = fl::RunFolder::open(request(place / "run", true), fl::default_config());
  REQUIRE(held.has_value());
  CHECK(held->start() == Start::completed);
  CHECK(tree_of(place.path()) == before);
  CHECK_FALSE(fl::holder_of(place / "run").has_value());
}

TEST_CASE("a resume of a folder without a run starts afresh") {
  const auto place = fl::test::TemporaryFolder();
  CHECK(fl::RunFolder::open(request(place / "missing", true), fl::default_config())->start() == Start::fresh);
  std::filesystem::create_directory(place / "empty");
  CHECK(fl::RunFolder::open(request(place / "empty", true), fl::default_config())->start() == Start::fresh);
}

TEST_CASE("what cannot be a folder is refused") {
  const auto place = fl::test::TemporaryFolder();
  fl::test::write_text(place / "file", "");
  CHECK(holds_all(refusal(request(place / "file")), {"file", "not a folder"}));
  for (const auto& impossible : {place / "file" / "below", std::filesystem::path("/proc/fl_actor_run")}) {
    const auto held = fl::RunFolder::open(request(impossible), fl::default_config());
    REQUIRE_FALSE(held.has_value());
    CHECK(held.error().code == fl::ec::run_folder_refused);
    CHECK(holds_all(held.error().text, {impossible.string(), "cannot be created", "--out"}));
  }
}

TEST_CASE("a fresh start can be taken back") {
  const auto place = fl::test::TemporaryFolder();
  auto held = fl::RunFolder::open(request(place / "run"), fl::default_config());
  { REQUIRE(fl::RunStore::open(place / "run", {}).has_value()); }
  std::move(*held).discard();
  CHECK(tree_of(place.path()).empty());

  std::filesystem::create_directory(place / "mine");
  fl::test::write_text(place / "mine" / "notes", "keep");
  held = fl::RunFolder::open(request(place / "mine"), fl::default_config());
  std::move(*held).discard();
  CHECK(tree_of(place / "mine") == std::map<std::string, std::string>{{"notes", "keep"}});

  make_run(place / "run", fl::RunState::stopped);
  const auto before = tree_of(place / "run");
  held = fl::RunFolder::open(request(place / "run", true), fl::default_config());
  std::move(*held).discard();
  CHECK(tree_of(place / "run").size() == before.size());
}

TEST_CASE("a client may use its folder again, but not a server's") {
  const auto place = fl::test::TemporaryFolder();
  for (auto start = 0; start < 2; ++start)
    CHECK(fl::RunFolder::open(request(place / "client", false, fl::Role::client), fl::default_config())
              .has_value());
  make_run(place / "run", fl::RunState::stopped);
  CHECK(holds_all(refusal(request(place / "run", false, fl::Role::client)), {"server", "--out"}));
}
