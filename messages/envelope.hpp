// The codec between fl.proto and our value types: models, updates and snapshots as bytes, and back.
//
// Decoding trusts no length: every claim is checked against the bytes that are really there, before memory is
// taken.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "messages/bytes.hpp"
#include "messages/errors.hpp"
#include "messages/layout.hpp"
#include "messages/types.hpp"

namespace fl {

inline constexpr std::uint32_t kEnvelopeFormatVersion = 1;

/// Upper limit of an envelope's header, in bytes: a model of 100,000 tensors fits many times.
inline constexpr std::uint32_t kMaxHeader_bytes = 16u << 20;

/// One array of the payload.
struct Section {
  std::string name;              ///< see fl.proto
  std::string codec = "none";    ///< "none": float32, little-endian
  std::uint64_t offset = 0;      ///< in bytes from the payload's start, a multiple of 64
  std::uint64_t size_bytes = 0;  ///< as stored
  std::uint64_t values = 0;      ///< floats when decoded
  std::uint64_t hash = 0;        ///< XXH3-64 of the stored bytes; 0: not given
};

struct ModelInfo {
  Version version = 0;
  Version from = 0;  ///< of what the sections change; without meaning where they hold the whole model
};

/// What has been folded into the strategy's state since the last version.
struct BufferInfo {
  double divisor = 0;             ///< Σ of the members' divisors, see Weight
  std::uint64_t count = 0;        ///< members
  std::vector<ClientId> clients;  ///< distinct members, ascending
};

/// What a client has not sent yet, apart from its arrays.
struct ResidualInfo {
  TaskId task = 0;  ///< whose answer leaves this; 0: settled
  double sent_norm = 0;
  std::uint32_t idle_deltas = 0;
};

/// The aggregator's state apart from its arrays.
struct SnapshotInfo {
  Version version = 0;
  std::uint64_t updates_accepted = 0;
  TaskId next_task = 1;
  std::string model_name;
  std::string strategy;
  std::uint64_t seed = 0;
  BufferInfo buffer;
};

/// A decoded header.
struct Envelope {
  std::uint64_t layout_fingerprint = 0;
  Layout layout;  ///< empty in updates
  std::vector<Section> sections;
  std::variant<ModelInfo, UpdateInfo, SnapshotInfo, ResidualInfo> content;

  /// nullptr when there is no such section.
  const Section* find(std::string_view name) const;
};

/// Lays the sections out one behind the other, each at a multiple of 64 bytes; returns the payload's size in
/// bytes.
std::uint64_t place_sections(std::vector<Section>& sections);

/// Magic, lengths, header and padding: what stands in front of the payload. Its size is a multiple of 64.
std::vector<std::byte> encode_header(const Envelope& envelope);

/// How many bytes stand in front of the payload, from the first bytes of a blob: 0 when these are too few to
/// say. Fails with `corrupt_data` like decode_header.
Result<std::uint64_t> header_size(std::span<const std::byte> beginning);

struct DecodedHeader {
  Envelope envelope;
  std::uint64_t payload_offset = 0;  ///< in bytes from the start of the blob
};

/// Reads and checks the header of a blob: magic, format version, checksum, and that every section lies within
/// the blob, is aligned and as long as its values need. Fails with `corrupt_data` or `unsupported_format`.
Result<DecodedHeader> decode_header(const ByteSource& blob);

/// XXH3-64 of bytes that come in parts.
class Hash {
 public:
  Hash();
  void add(std::span<const std::byte> bytes);
  std::uint64_t value() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// XXH3-64 of some bytes; of a whole source, read in parts.
std::uint64_t hash_of(std::span<const std::byte> bytes);
Result<std::uint64_t> hash_of(const ByteSource& source);

}  // namespace fl
