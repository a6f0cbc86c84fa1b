#include "messages/bytes.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "messages/file_source.hpp"
#include "messages/layout.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace fl;

namespace {

/// Bytes 0, 1, 2, ….
AlignedBuffer counting(std::size_t size) {
  auto buffer = AlignedBuffer(size);
  for (auto i = std::size_t{0}; i < size; ++i) buffer.data()[i] = static_cast<std::byte>(i);
  return buffer;
}

/// Every part of a source of `counting` bytes reads as it should, and nothing beyond does.
void check_reads(const ByteSource& source, std::size_t size, std::size_t first) {
  REQUIRE(source.size() == size);
  for (auto offset = std::size_t{0}; offset <= size; ++offset) {
    for (auto length = std::size_t{0}; offset + length <= size; ++length) {
      auto out = std::vector<std::byte>(length);
      REQUIRE(source.read(offset, out));
      for (auto i = std::size_t{0}; i < length; ++i)
        REQUIRE(out[i] == static_cast<std::byte>(first + offset + i));
    }
    auto too_much = std::vector<std::byte>(size - offset + 1);
    const auto refused = source.read(offset, too_much);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ec::corrupt_data);
  }
}

}  // namespace

TEST_CASE("aligned buffers are aligned, move and may be empty") {
  for (const auto size : {std::size_t{1}, std::size_t{63}, std::size_t{65}, std::size_t{5} << 20}) {
    const auto buffer = AlignedBuffer(size);
    CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64 == 0);
    CHECK(buffer.size() == size);
  }
  auto first = counting(10);
  auto second = AlignedBuffer(std::move(first));
  CHECK(second.size() == 10);
  CHECK(second.data()[9] == std::byte{9});
  second = AlignedBuffer();
  CHECK(second.size() == 0);
  CHECK(AlignedBuffer(0).data() == nullptr);
}

TEST_CASE("sources in memory, of files and of parts read the same") {
  const auto memory = std::make_shared<const MemorySource>(counting(20));
  check_reads(*memory, 20, 0);
  CHECK(memory->view().size() == 20);
  check_reads(SubSource(memory, 5, 9), 9, 5);
  CHECK(SubSource(memory, 5, 9).view().data() == memory->view().data() + 5);

  const auto folder = test::TemporaryFolder();
  auto sink = FileSink::create(folder.path(), 20);
  REQUIRE(sink);
  REQUIRE(sink->write(8, counting(20).span().subspan(8)));
  REQUIRE(sink->write(0, counting(20).span().first(8)));
  const auto file = std::move(*sink).finish();
  check_reads(*file, 20, 0);
  CHECK(file->view().empty());
  check_reads(SubSource(file, 5, 9), 9, 5);
  CHECK(SubSource(file, 5, 9).view().empty());
}

TEST_CASE("a part shares memory where there is some, and copies a file") {
  auto part = Bytes();
  {
    const auto memory = std::make_shared<const MemorySource>(counting(20));
    part = memory->part(5, 4).value();
    CHECK(part.view().data() == memory->view().data() + 5);
    CHECK(memory->part(5, 16).error().code == ec::corrupt_data);
    CHECK(memory->part(21, 0).error().code == ec::corrupt_data);
    CHECK(memory->part(20, 0)->size() == 0);
  }
  REQUIRE(part.size() == 4);  // which outlives its source
  CHECK(part.view()[3] == std::byte{8});

  const auto folder = test::TemporaryFolder();
  auto sink = FileSink::create(folder.path(), 20);
  REQUIRE(sink);
  REQUIRE(sink->write(0, counting(20).span()));
  const auto copy = std::move(*sink).finish()->part(18, 2);
  REQUIRE(copy);
  CHECK(copy->view()[1] == std::byte{19});
}

TEST_CASE("offsets near the end of the number range are refused, not wrapped") {
  const auto memory = std::make_shared<const MemorySource>(counting(20));
  auto out = std::vector<std::byte>(8);
  const auto huge = std::numeric_limits<std::uint64_t>::max() - 3;
  CHECK_FALSE(memory->read(huge, out));
  CHECK_FALSE(SubSource(memory, 5, 9).read(huge, out));
}

TEST_CASE("a file that is received leaves no name behind and refuses bytes beyond its end") {
  const auto folder = test::TemporaryFolder();
  auto sink = FileSink::create(folder.path(), 4);
  REQUIRE(sink);
  CHECK(test::tree_of(folder.path()).empty());
  CHECK(sink->write(2, counting(3).span()).error().code == ec::wrong_length);
  CHECK(sink->write(5, {}).error().code == ec::wrong_length);
  CHECK(sink->write(std::numeric_limits<std::uint64_t>::max(), counting(3).span()).error().code ==
        ec::wrong_length);
  CHECK(sink->write(1, counting(3).span()));
  CHECK(FileSink::create(folder.path(), 0));
}

TEST_CASE("what the system refuses is an error that names the file") {
  const auto folder = test::TemporaryFolder();
  const auto missing = FileSource::open(folder / "missing");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ec::io_failed);
  CHECK(missing.error().text.find("missing") != std::string::npos);
  const auto nowhere = FileSink::create(folder / "nowhere", 1);
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.error().code == ec::io_failed);

  test::write_text(folder / "short", "abc");
  const auto file = FileSource::open(folder / "short");
  REQUIRE(file);
  test::write_text(folder / "short", "a");  // cut while it is open
  auto out = std::vector<std::byte>(3);
  CHECK((*file)->read(0, out).error().code == ec::corrupt_data);
}

TEST_CASE("a layout puts tensors one behind the other and has the same fingerprint everywhere") {
  auto layout = Layout();
  layout.add("conv1.weight", {32, 1, 3, 3});
  layout.add("bn.mean", {32}, EntryKind::buffer);
  layout.add("scale", {});
  REQUIRE(layout.entries().size() == 3);
  CHECK(layout.entries()[1].offset == 288);
  CHECK(layout.entries()[2].offset == 320);
  CHECK(layout.entries()[2].size == 1);
  CHECK(layout.size() == 321);
  CHECK(layout.size_bytes() == 1284);
  // Written down once: nodes of different releases compare models by this number.
  CHECK(layout.fingerprint() == 158740051155945826u);

  const auto differs = [&](const Layout& other) { return other.fingerprint() != layout.fingerprint(); };
  auto other = Layout();
  other.add("conv1.weight", {32, 1, 9});
  other.add("bn.mean", {32}, EntryKind::buffer);
  other.add("scale", {});
  CHECK(differs(other));
  auto kind = Layout();
  kind.add("conv1.weight", {32, 1, 3, 3});
  kind.add("bn.mean", {32});
  kind.add("scale", {});
  CHECK(differs(kind));
}
