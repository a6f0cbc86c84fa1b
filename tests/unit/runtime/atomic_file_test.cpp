#include "runtime/atomic_file.hpp"

#include <doctest/doctest.h>

#include "messages/durable_step.hpp"
#include "tests/support/temporary_folder.hpp"

using fl::test::read_text;
using fl::test::tree_of;

TEST_CASE("a file appears whole at the commit") {
  const auto folder = fl::test::TemporaryFolder();
  auto file = fl::AtomicFile::create(folder / "a");
  REQUIRE(file.has_value());
  CHECK(file->write("one").has_value());
  CHECK(file->write("two").has_value());
  CHECK_FALSE(std::filesystem::exists(folder / "a"));
  CHECK(file->commit().has_value());
  CHECK(tree_of(folder.path()) == std::map<std::string, std::string>{{"a", "onetwo"}});
}

TEST_CASE("a file that is not committed leaves no trace") {
  const auto folder = fl::test::TemporaryFolder();
  {
    auto file = fl::AtomicFile::create(folder / "a");
    REQUIRE(file.has_value());
    CHECK(file->write("one").has_value());
  }
  CHECK(tree_of(folder.path()).empty());
  CHECK(fl::AtomicFile::create(folder / "no" / "a").error().code == fl::ec::io_failed);
}

TEST_CASE("whichever step fails, the old content or the new one is there") {
  const auto folder = fl::test::TemporaryFolder();
  for (const auto* failing : {"create", "write", "flush", "rename", "flush folder"}) {
    CAPTURE(failing);
    fl::test::write_text(folder / "a", "old");
    fl::set_durable_step_hook([&](std::string_view step, const std::filesystem::path&) -> fl::Result<void> {
      if (step == failing) return fl::fail(fl::ec::io_failed, "on purpose");
      return {};
    });
    const auto result = fl::write_atomically(folder / "a", "new");
    fl::set_durable_step_hook({});
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().text == "on purpose");
    const auto renamed = std::string_view(failing) == "flush folder";
    CHECK(tree_of(folder.path()) == std::map<std::string, std::string>{{"a", renamed ? "new" : "old"}});
  }
}
