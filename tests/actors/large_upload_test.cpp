// Sizes beyond 4 GiB are a matter of configuration: nothing on an update's way counts in 32 bits.
#include <doctest/doctest.h>

#include <array>
#include <filesystem>

#include "actors/session.hpp"
#include "learning/compression/encoded_array.hpp"
#include "learning/compression/gap_code.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace fl;

namespace {

constexpr auto kBeyond = (std::uint64_t{4} << 30) + 12'345;
constexpr auto kEnd = std::array{std::byte{1}, std::byte{2}, std::byte{3}};

/// The hash of so many zeros, then kEnd.
std::uint64_t hash_of_zeros_and_end(std::uint64_t zeros) {
  auto hash = Hash();
  const auto block = std::vector<std::byte>(1u << 20);
  for (auto left = zeros; left > 0;) {
    const auto part = std::min<std::uint64_t>(left, block.size());
    hash.add(std::span(block).first(part));
    left -= part;
  }
  hash.add(kEnd);
  return hash.value();
}

}  // namespace

TEST_CASE("an upload of more than 4 GiB goes on where it was and ends with its last byte") {
  const auto folder = test::TemporaryFolder();
  const auto offer = UploadOffer{7, 1, kBeyond + kEnd.size(), hash_of_zeros_and_end(kBeyond)};
  // What was received before a restart, as a sparse file: it takes no room on the disk.
  { REQUIRE(Upload::begin(offer, folder.path().string(), true)); }
  const auto file = std::filesystem::directory_iterator(folder.path())->path();
  std::filesystem::resize_file(file, kBeyond);

  auto upload = Upload::begin(offer, folder.path().string(), true);
  REQUIRE(upload);
  CHECK(upload->received() == kBeyond);
  REQUIRE(upload->add({7, kBeyond, Bytes(kEnd)}));
  const auto blob = std::move(*upload).finish();
  REQUIRE(blob);
  CHECK((*blob)->size() == kBeyond + kEnd.size());
  auto last = std::array<std::byte, 4>();
  REQUIRE((*blob)->read(kBeyond - 1, last));
  CHECK(last == std::array{std::byte{0}, std::byte{1}, std::byte{2}, std::byte{3}});
}

TEST_CASE("a sparse update of a model beyond 4 GiB names its values where they are") {
  const auto indices = std::array<std::uint64_t, 3>{5, 3'000'000'000, 5'000'000'000};
  auto bytes = GrowingBuffer();
  const auto count = std::uint64_t{indices.size()};
  bytes.add(std::as_bytes(std::span(&count, 1)));
  auto gaps = GrowingBuffer();
  const auto r = encode_gaps(indices, ~std::uint64_t{0}, gaps);
  const auto head = static_cast<std::uint32_t>(gaps.size()) | r << 24;
  bytes.add(std::as_bytes(std::span(&head, 1)));
  bytes.add(gaps.span());
  const auto values = std::array{1.0f, 2.0f, 3.0f};
  bytes.add(std::as_bytes(std::span(values)));

  const auto array = EncodedArray{std::make_shared<const BorrowedSource>(bytes.span()), 0, 6'000'000'000,
                                  bytes.size(), parse_codec("top_k").value()};
  auto met = std::vector<std::pair<std::uint64_t, float>>();
  auto visitor = ArrayVisitor();
  visitor.sparse = [&](std::span<const std::uint64_t> at, std::span<const float> of) {
    for (std::size_t i = 0; i < at.size(); ++i) met.emplace_back(at[i], of[i]);
  };
  REQUIRE(visit_array(array, visitor));
  CHECK(met == std::vector<std::pair<std::uint64_t, float>>{{5, 1}, {3'000'000'000, 2}, {5'000'000'000, 3}});
}
