#include "messages/envelope.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <memory>
#include <tuple>
#include <variant>
#include <vector>

using namespace fl;

namespace {

using Blob = std::vector<std::byte>;

Layout two_tensors() {
  auto layout = Layout();
  layout.add("weight", {2, 3});
  layout.add("mean", {5}, EntryKind::buffer);
  return layout;
}

Envelope envelope_of(decltype(Envelope::content) content) {
  auto envelope = Envelope();
  envelope.layout = two_tensors();
  envelope.layout_fingerprint = envelope.layout.fingerprint();
  envelope.content = std::move(content);
  auto parameters = Section();
  parameters.name = "parameters";
  parameters.values = 11;
  parameters.size_bytes = 44;
  parameters.hash = 123;
  auto buffer = Section();
  buffer.name = "buffer";
  buffer.values = 5;
  buffer.size_bytes = 20;
  envelope.sections = {parameters, buffer};
  CHECK(place_sections(envelope.sections) == 84);
  return envelope;
}

Blob blob_of(const Envelope& envelope, std::size_t payload_bytes = 84) {
  auto blob = encode_header(envelope);
  blob.resize(blob.size() + payload_bytes, std::byte{1});
  return blob;
}

Result<DecodedHeader> decode(std::span<const std::byte> blob) {
  auto buffer = AlignedBuffer(blob.size());
  if (!blob.empty()) std::memcpy(buffer.data(), blob.data(), blob.size());
  return decode_header(MemorySource(std::move(buffer)));
}

/// Frames any header bytes, with a checksum that holds.
Blob framed(std::span<const std::byte> header, std::size_t payload_bytes = 84) {
  const auto length = static_cast<std::uint32_t>(header.size());
  const auto checksum = static_cast<std::uint32_t>(hash_of(header));
  auto blob = Blob((16 + header.size() + 63) / 64 * 64 + payload_bytes);
  std::memcpy(blob.data(), "FLACTOR1", 8);
  std::memcpy(blob.data() + 8, &length, 4);
  std::memcpy(blob.data() + 12, &checksum, 4);
  if (!header.empty()) std::memcpy(blob.data() + 16, header.data(), header.size());
  return blob;
}

/// The header message of an envelope, without its frame.
Blob header_of(const Envelope& envelope) {
  const auto blob = encode_header(envelope);
  auto length = std::uint32_t{0};
  std::memcpy(&length, blob.data() + 8, 4);
  return {blob.begin() + 16, blob.begin() + 16 + static_cast<long>(length)};
}

Blob bytes(std::initializer_list<int> values) {
  auto result = Blob();
  for (const auto value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

/// What decoding says of an envelope with one section like this, before 84 bytes of payload.
ec code_of(const Section& section) {
  auto envelope = envelope_of(ModelInfo{1});
  envelope.sections = {section};
  const auto decoded = decode(blob_of(envelope));
  return decoded ? ec::none : decoded.error().code;
}

Section section_of(std::uint64_t offset, std::uint64_t size_bytes, std::uint64_t values) {
  return {"parameters", "none", offset, size_bytes, values, 0};
}

UpdateInfo example_update() {
  return {7, 2, 3, 9, 600, 19, 0.5, 1.25, {9, 60, 0.75, 0.875}};
}

}  // namespace

TEST_CASE("a model, an update and a snapshot come back as they were") {
  const auto snapshot = SnapshotInfo{12, 30, 44, "simple_cnn", "fedbuff", 5, {1.5, 3, {0, 4, 9}}};
  for (const auto& content : {decltype(Envelope::content)(ModelInfo{12}), {example_update()}, {snapshot}}) {
    const auto envelope = envelope_of(content);
    const auto blob = blob_of(envelope);
    const auto decoded = decode(blob);
    REQUIRE(decoded);
    CHECK(decoded->payload_offset % 64 == 0);
    CHECK(decoded->payload_offset + 84 == blob.size());
    CHECK(header_size(blob).value() == decoded->payload_offset);
    const auto& back = decoded->envelope;
    CHECK(back.layout == envelope.layout);
    CHECK(back.layout_fingerprint == envelope.layout_fingerprint);
    REQUIRE(back.sections.size() == 2);
    for (auto i = std::size_t{0}; i < 2; ++i) {
      const auto& [a1, a2, a3, a4, a5, a6] = back.sections[i];
      const auto& [b1, b2, b3, b4, b5, b6] = envelope.sections[i];
      CHECK(std::tie(a1, a2, a3, a4, a5, a6) == std::tie(b1, b2, b3, b4, b5, b6));
    }
    CHECK(back.find("buffer") == &back.sections[1]);
    CHECK(back.find("other") == nullptr);
    REQUIRE(back.content.index() == content.index());
  }
}

TEST_CASE("what an update and a snapshot say comes back number by number") {
  const auto update = example_update();
  const auto back = std::get<UpdateInfo>(decode(blob_of(envelope_of(update)))->envelope.content);
  const auto& [a1, a2, a3, a4, a5, a6, a7, a8, a9] = back;
  const auto& [b1, b2, b3, b4, b5, b6, b7, b8, b9] = update;
  CHECK(std::tie(a1, a2, a3, a4, a5, a6, a7, a8) == std::tie(b1, b2, b3, b4, b5, b6, b7, b8));
  CHECK(std::tie(a9.version, a9.samples, a9.loss, a9.accuracy) ==
        std::tie(b9.version, b9.samples, b9.loss, b9.accuracy));

  const auto snapshot = SnapshotInfo{12, 30, 44, "simple_cnn", "fedbuff", 5, {1.5, 3, {0, 4, 9}}};
  const auto stored = std::get<SnapshotInfo>(decode(blob_of(envelope_of(snapshot)))->envelope.content);
  const auto& [c1, c2, c3, c4, c5, c6, c7] = stored;
  const auto& [d1, d2, d3, d4, d5, d6, d7] = snapshot;
  CHECK(std::tie(c1, c2, c3, c4, c5, c6) == std::tie(d1, d2, d3, d4, d5, d6));
  CHECK(std::tie(c7.divisor, c7.count, c7.clients) == std::tie(d7.divisor, d7.count, d7.clients));
}

TEST_CASE("a blob that is cut anywhere is refused") {
  const auto blob = blob_of(envelope_of(example_update()));
  for (auto length = std::size_t{0}; length < blob.size(); ++length) {
    const auto decoded = decode(std::span(blob).first(length));
    REQUIRE_MESSAGE(!decoded, "cut to " << length << " of " << blob.size() << " bytes");
    CHECK(decoded.error().code == ec::corrupt_data);
  }
}

TEST_CASE("a header with any one bit flipped is refused") {
  const auto envelope = envelope_of(example_update());
  auto blob = blob_of(envelope);
  const auto length = 16 + header_of(envelope).size();
  for (auto bit = std::size_t{0}; bit < 8 * length; ++bit) {
    blob[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    REQUIRE_MESSAGE(!decode(blob), "bit " << bit);
    blob[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
  }
  CHECK(decode(blob));
}

TEST_CASE("sections must be aligned, lie within the blob and be as long as their values") {
  const auto most = std::numeric_limits<std::uint64_t>::max();
  CHECK(code_of(section_of(0, 84, 21)) == ec::none);
  CHECK(code_of(section_of(64, 20, 5)) == ec::none);
  CHECK(code_of(section_of(0, 0, 0)) == ec::none);
  CHECK(code_of(section_of(4, 8, 2)) == ec::corrupt_data);
  CHECK(code_of(section_of(0, 88, 22)) == ec::corrupt_data);
  CHECK(code_of(section_of(64, 24, 6)) == ec::corrupt_data);
  CHECK(code_of(section_of(128, 0, 0)) == ec::corrupt_data);
  CHECK(code_of(section_of(0, 8, 3)) == ec::corrupt_data);
  CHECK(code_of(section_of(0, 7, 1)) == ec::corrupt_data);
  CHECK(code_of(section_of(0, 4, (std::uint64_t{1} << 62) + 1)) == ec::corrupt_data);
  CHECK(code_of(section_of(0, most - 3, most / 4)) == ec::corrupt_data);
  CHECK(code_of(section_of(most - 63, 64, 16)) == ec::corrupt_data);
}

TEST_CASE("a header longer than the blob or than allowed takes no memory") {
  auto blob = blob_of(envelope_of(ModelInfo{1}));
  for (const auto claimed :
       {static_cast<std::uint32_t>(blob.size()), kMaxHeader_bytes, kMaxHeader_bytes + 1, ~0u}) {
    std::memcpy(blob.data() + 8, &claimed, 4);
    CHECK(decode(blob).error().code == ec::corrupt_data);
  }
  CHECK_FALSE(header_size(blob));
  CHECK(header_size(std::span(blob).first(15)).value() == 0);
}

TEST_CASE("a newer format is refused, a newer field is ignored") {
  auto header = header_of(envelope_of(ModelInfo{1}));
  REQUIRE(header[0] == std::byte{0x08});  // field 1, format_version
  REQUIRE(header[1] == std::byte{kEnvelopeFormatVersion});
  for (const auto version : {0, 2, 127}) {
    auto other = header;
    other[1] = static_cast<std::byte>(version);
    CHECK(decode(framed(other)).error().code == ec::unsupported_format);
  }
  auto newer = header;
  for (const auto byte : bytes({0xf8, 0x01, 0x2a})) newer.push_back(byte);  // field 31, a number
  CHECK(decode(framed(newer)));
}

TEST_CASE("a header that is no envelope is refused") {
  CHECK_FALSE(decode(framed({})));
  CHECK(decode(framed(bytes({0xff, 0xff, 0xff}))).error().code == ec::corrupt_data);
  CHECK(decode(framed(bytes({0x08, 0x01}))).error().code == ec::corrupt_data);  // a version, and no content
  auto number_type = header_of(envelope_of(ModelInfo{1}));
  for (const auto byte : bytes({0x22, 0x02, 0x10, 0x09}))
    number_type.push_back(byte);  // a section of dtype 9
  CHECK(decode(framed(number_type)).error().code == ec::unsupported_format);
}

TEST_CASE("impossible shapes are refused") {
  const auto code = [](std::vector<std::vector<std::int64_t>> shapes) {
    auto envelope = envelope_of(ModelInfo{1});
    envelope.layout = Layout();
    for (auto& shape : shapes) envelope.layout.add("tensor", std::move(shape));
    const auto decoded = decode(blob_of(envelope));
    return decoded ? ec::none : decoded.error().code;
  };
  const auto large = std::int64_t{1} << 31;
  CHECK(code({{0, large, large}}) == ec::none);
  CHECK(code({{-1}}) == ec::corrupt_data);
  CHECK(code({{-1, -1}}) == ec::corrupt_data);
  CHECK(code({{large, large}}) == ec::corrupt_data);
  // Each is possible, all together are more than a 64-bit number holds.
  CHECK(code(std::vector<std::vector<std::int64_t>>(1 << 17, {std::int64_t{1} << 47})) == ec::corrupt_data);
}

TEST_CASE("the hash of parts is the hash of the whole") {
  auto buffer = AlignedBuffer(1'000'003);
  for (auto i = std::size_t{0}; i < buffer.size(); ++i) buffer.data()[i] = static_cast<std::byte>(i * 31);
  const auto whole = hash_of(buffer.span());
  auto hash = Hash();
  for (auto offset = std::size_t{0}; offset < buffer.size(); offset += 777)
    hash.add(buffer.span().subspan(offset, std::min<std::size_t>(777, buffer.size() - offset)));
  CHECK(hash.value() == whole);

  const auto memory = std::make_shared<const MemorySource>(std::move(buffer));
  CHECK(hash_of(static_cast<const ByteSource&>(*memory)).value() == whole);
  CHECK(hash_of(std::span<const std::byte>()) == 0x2d06800538d394c2u);  // XXH3-64 of nothing
}
