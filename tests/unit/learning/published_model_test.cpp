#include "learning/published_model.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "tests/support/small_state.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace fl;

namespace {

ParametersPtr parameters_of(const LayoutPtr& layout, float first = 1) {
  return std::make_shared<const Parameters>(test::counting(layout, first));
}

std::vector<std::byte> bytes_of(const ByteSource& source) {
  auto bytes = std::vector<std::byte>(source.size());
  REQUIRE(source.read(0, bytes));
  return bytes;
}

/// Gives a blob to a receiver in parts of one size; the first error, if any, else how it finishes.
Result<ParametersPtr> receive(ModelReceiver& receiver, std::span<const std::byte> blob,
                              std::size_t part_bytes) {
  while (!blob.empty()) {
    const auto part = blob.first(std::min(part_bytes, blob.size()));
    if (auto ok = receiver.add(part); !ok) return tl::unexpected(ok.error());
    blob = blob.subspan(part.size());
  }
  return receiver.finish();
}

Result<ParametersPtr> receive(const LayoutPtr& layout, std::span<const std::byte> blob,
                              std::size_t part_bytes) {
  auto receiver = ModelReceiver(layout, blob.size(), hash_of(blob));
  return receive(receiver, blob, part_bytes);
}

}  // namespace

TEST_CASE("a published model reads as one blob, header and numbers, at every place") {
  const auto model = PublishedModel(7, parameters_of(test::small_layout()));
  const auto whole = bytes_of(model);
  const auto header = header_size(whole).value();
  CHECK(whole.size() == header + model.layout()->size_bytes());
  for (auto offset = std::size_t{0}; offset <= whole.size(); ++offset) {
    for (const auto length :
         {std::size_t{0}, std::size_t{1}, std::size_t{5}, std::size_t{70}, whole.size() - offset}) {
      auto part = std::vector<std::byte>(length);
      if (offset + length > whole.size()) {
        REQUIRE_FALSE(model.read(offset, part));
        continue;
      }
      REQUIRE(model.read(offset, part));
      REQUIRE((length == 0 || std::memcmp(part.data(), whole.data() + offset, length) == 0));
    }
  }
  auto one = std::vector<std::byte>(1);
  CHECK_FALSE(model.read(~std::uint64_t{0}, one));
  CHECK(model.hash().value() == hash_of(whole));
  CHECK(model.hash().value() == hash_of(whole));  // remembered

  auto value = 0.0f;
  std::memcpy(&value, whole.data() + header, sizeof value);
  CHECK(value == 1.0f);
}

TEST_CASE("a model that was spilled to disk reads the same and comes back the same") {
  const auto folder = test::TemporaryFolder();
  const auto parameters = parameters_of(test::small_layout());
  const auto model = PublishedModel(7, parameters);
  const auto before = bytes_of(model);
  CHECK(model.parameters().value() == parameters);
  REQUIRE(model.spill(folder.path()));
  CHECK_FALSE(model.in_memory());
  CHECK(model.spill(folder.path()));  // again is nothing
  CHECK(bytes_of(model) == before);
  CHECK(model.hash().value() == hash_of(before));
  CHECK(test::same_values(**model.parameters(), *parameters));
  CHECK(test::tree_of(folder.path()).empty());

  const auto other = PublishedModel(8, parameters);
  CHECK_FALSE(other.spill(folder / "missing"));
  CHECK(other.in_memory());
  CHECK(bytes_of(other).size() == before.size());
}

TEST_CASE("only the newest models in use stay in memory") {
  const auto folder = test::TemporaryFolder();
  const auto layout = test::small_layout();
  auto models = PublishedModels(folder.path(), 2);
  auto used = std::vector<PublishedModelPtr>();
  for (auto version = Version{0}; version < 5; ++version)
    used.push_back(models.publish(version, parameters_of(layout, static_cast<float>(version))));
  for (auto version = std::size_t{0}; version < 5; ++version) {
    CHECK(used[version]->in_memory() == (version >= 3));
    CHECK(used[version]->parameters().value()->values()[0] == static_cast<float>(version));
  }
  auto unlimited = PublishedModels({}, 1);
  const auto first = unlimited.publish(0, parameters_of(layout));
  const auto second = unlimited.publish(1, parameters_of(layout));
  CHECK(first->in_memory());
}

TEST_CASE("a model arrives the same in parts of any size") {
  const auto layout = test::small_layout();
  const auto parameters = parameters_of(layout);
  const auto blob = bytes_of(PublishedModel(7, parameters));
  for (auto part = std::size_t{1}; part <= blob.size(); ++part) {
    const auto received = receive(layout, blob, part);
    REQUIRE(received);
    REQUIRE(test::same_values(**received, *parameters));
  }
}

TEST_CASE("a model that is cut, longer than announced or damaged anywhere is refused") {
  const auto layout = test::small_layout();
  auto blob = bytes_of(PublishedModel(7, parameters_of(layout)));
  for (auto length = std::size_t{0}; length < blob.size(); ++length) {
    auto announced_short = receive(layout, std::span(blob).first(length), 50);
    REQUIRE_FALSE(announced_short);
    CHECK(announced_short.error().code == ec::corrupt_data);
    auto receiver = ModelReceiver(layout, blob.size(), hash_of(blob));
    REQUIRE_FALSE(receive(receiver, std::span(blob).first(length), 50));
    CHECK_FALSE(receiver.complete());
  }
  const auto hash = hash_of(blob);
  for (auto place = std::size_t{0}; place < blob.size(); ++place) {
    blob[place] ^= std::byte{0x10};
    auto receiver = ModelReceiver(layout, blob.size(), hash);
    REQUIRE_FALSE(receive(receiver, blob, 33));
    blob[place] ^= std::byte{0x10};
  }
  auto longer = blob;
  longer.resize(blob.size() + 4);
  CHECK(receive(layout, longer, 64).error().code == ec::corrupt_data);
  CHECK(receive(layout, longer, longer.size()).error().code == ec::corrupt_data);
  auto receiver = ModelReceiver(layout, blob.size(), hash);
  REQUIRE(receiver.add(blob));
  CHECK(receiver.add(std::span(blob).first(1)).error().code == ec::corrupt_data);
}

TEST_CASE("a model of another kind is refused by name") {
  auto other = Layout();
  other.add("weight", {29});
  const auto blob = bytes_of(PublishedModel(7, parameters_of(std::make_shared<const Layout>(other))));
  CHECK(receive(test::small_layout(), blob, 64).error().code == ec::layout_mismatch);

  auto envelope = Envelope();
  envelope.content = UpdateInfo();
  const auto update = encode_header(envelope);
  CHECK(receive(test::small_layout(), update, 64).error().code == ec::corrupt_data);
  const auto text = std::vector<std::byte>(100, std::byte{'x'});
  CHECK(receive(test::small_layout(), text, 10).error().code == ec::corrupt_data);
}
