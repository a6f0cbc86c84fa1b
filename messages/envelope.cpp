#include "messages/envelope.hpp"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>

#include "fl.pb.h"

namespace fl {

static_assert(std::endian::native == std::endian::little, "payloads are stored as they lie in memory");

namespace {

constexpr std::array<char, 8> kMagic = {'F', 'L', 'A', 'C', 'T', 'O', 'R', '1'};
constexpr std::size_t kPrefix_bytes = 16;
constexpr std::uint64_t kSectionAlignment = 64;
constexpr std::size_t kReadBlock_bytes = std::size_t{256} << 10;

/// More than any machine holds, little enough that sizes in bytes fit 64 bits.
constexpr std::uint64_t kMaxModel_floats = std::uint64_t{1} << 48;

std::uint64_t round_up(std::uint64_t bytes) {
  return (bytes + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
}

std::uint32_t checksum_of(std::span<const std::byte> header) {
  return static_cast<std::uint32_t>(hash_of(header));
}

/// Protobuf prints its complaint on a peer's bytes to stderr, past log and display; what we say of them is
/// enough.
bool parse_quietly(proto::Envelope& message, std::span<const std::byte> bytes) {
#if GOOGLE_PROTOBUF_VERSION < 4022000  // later versions have no such class and log through Abseil
  const auto silence = google::protobuf::LogSilencer();
#endif
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

void write(const Evaluation& from, proto::Evaluation& to) {
  to.set_version(from.version);
  to.set_samples(from.samples);
  to.set_loss(from.loss);
  to.set_accuracy(from.accuracy);
  to.mutable_metrics()->insert(from.metrics.begin(), from.metrics.end());
}

void write(const ModelInfo& from, proto::Envelope& to) {
  to.mutable_model()->set_version(from.version);
  to.mutable_model()->set_from_version(from.from);
}

void write(const UpdateInfo& from, proto::Envelope& envelope) {
  auto& to = *envelope.mutable_update();
  to.set_task(from.task);
  to.set_epoch(from.epoch);
  to.set_client(from.client);
  to.set_base_version(from.base);
  to.set_samples(from.samples);
  to.set_steps(from.steps);
  to.set_train_loss(from.train_loss);
  to.set_train_seconds(from.train_seconds);
  if (from.base_evaluation.samples > 0) write(from.base_evaluation, *to.mutable_base_evaluation());
}

void write(const SnapshotInfo& from, proto::Envelope& envelope) {
  auto& to = *envelope.mutable_snapshot();
  to.set_version(from.version);
  to.set_updates_accepted(from.updates_accepted);
  to.set_next_task(from.next_task);
  to.set_model(from.model_name);
  to.set_strategy(from.strategy);
  to.set_seed(from.seed);
  if (from.buffer.count > 0) {
    to.mutable_buffer()->set_divisor(from.buffer.divisor);
    to.mutable_buffer()->set_count(from.buffer.count);
    to.mutable_buffer()->mutable_clients()->Add(from.buffer.clients.begin(), from.buffer.clients.end());
  }
}

void write(const ResidualInfo& from, proto::Envelope& envelope) {
  auto& to = *envelope.mutable_residual();
  to.set_task(from.task);
  to.set_sent_norm(from.sent_norm);
  to.set_idle_deltas(from.idle_deltas);
}

UpdateInfo read(const proto::Update& from) {
  auto to = UpdateInfo();
  to.task = from.task();
  to.epoch = from.epoch();
  to.client = from.client();
  to.base = from.base_version();
  to.samples = from.samples();
  to.steps = from.steps();
  to.train_loss = from.train_loss();
  to.train_seconds = from.train_seconds();
  if (from.has_base_evaluation()) {
    const auto& evaluation = from.base_evaluation();
    to.base_evaluation = {evaluation.version(),
                          evaluation.samples(),
                          evaluation.loss(),
                          evaluation.accuracy(),
                          {evaluation.metrics().begin(), evaluation.metrics().end()}};
  }
  return to;
}

SnapshotInfo read(const proto::Snapshot& from) {
  auto to = SnapshotInfo();
  to.version = from.version();
  to.updates_accepted = from.updates_accepted();
  to.next_task = from.next_task();
  to.model_name = from.model();
  to.strategy = from.strategy();
  to.seed = from.seed();
  to.buffer.divisor = from.buffer().divisor();
  to.buffer.count = from.buffer().count();
  to.buffer.clients.assign(from.buffer().clients().begin(), from.buffer().clients().end());
  return to;
}

/// Checks that the section lies within the payload and can hold what it says.
Result<Section> read(const proto::Section& from, std::uint64_t payload_bytes) {
  const auto wrong = [&](const std::string& what) {
    return fail(ec::corrupt_data, "section \"" + from.name() + "\" " + what);
  };
  if (from.offset() % kSectionAlignment != 0) return wrong("is not aligned");
  if (from.offset() > payload_bytes || from.bytes() > payload_bytes - from.offset())
    return wrong("claims bytes beyond the end of the blob");
  if (from.dtype() != proto::Section::FLOAT32)
    return fail(ec::unsupported_format,
                "section \"" + from.name() + "\" has a number type this program cannot read");
  if (from.codec() == "none" &&
      (from.bytes() % sizeof(float) != 0 || from.values() != from.bytes() / sizeof(float)))
    return wrong("is not as long as its values need");
  return Section{from.name(), from.codec(), from.offset(), from.bytes(), from.values(), from.xxh3()};
}

Result<Layout> read_layout(const proto::Envelope& from) {
  auto layout = Layout();
  for (const auto& tensor : from.layout()) {
    auto shape = std::vector<std::int64_t>(tensor.shape().begin(), tensor.shape().end());
    auto size = std::uint64_t{1};
    for (const auto extent : shape) {
      if (extent < 0 || (extent > 0 && size > kMaxModel_floats / static_cast<std::uint64_t>(extent)))
        return fail(ec::corrupt_data, "tensor \"" + tensor.name() + "\" has an impossible shape");
      size *= static_cast<std::uint64_t>(extent);
    }
    if (size > kMaxModel_floats - layout.size())
      return fail(ec::corrupt_data, "the layout is impossibly large");
    const auto kind = tensor.kind() == proto::Tensor::BUFFER ? EntryKind::buffer : EntryKind::trainable;
    layout.add(tensor.name(), std::move(shape), kind);
  }
  return layout;
}

}  // namespace

const Section* Envelope::find(std::string_view name) const {
  const auto found =
      std::find_if(sections.begin(), sections.end(), [&](const auto& s) { return s.name == name; });
  return found == sections.end() ? nullptr : &*found;
}

std::uint64_t place_sections(std::vector<Section>& sections) {
  auto end = std::uint64_t{0};
  for (auto& section : sections) {
    section.offset = round_up(end);
    end = section.offset + section.size_bytes;
  }
  return end;
}

std::vector<std::byte> encode_header(const Envelope& envelope) {
  auto message = proto::Envelope();
  message.set_format_version(kEnvelopeFormatVersion);
  message.set_layout_fingerprint(envelope.layout_fingerprint);
  for (const auto& entry : envelope.layout.entries()) {
    auto& tensor = *message.add_layout();
    tensor.set_name(entry.name);
    tensor.mutable_shape()->Add(entry.shape.begin(), entry.shape.end());
    tensor.set_kind(entry.kind == EntryKind::buffer ? proto::Tensor::BUFFER : proto::Tensor::TRAINABLE);
  }
  for (const auto& section : envelope.sections) {
    auto& to = *message.add_sections();
    to.set_name(section.name);
    to.set_codec(section.codec);
    to.set_offset(section.offset);
    to.set_bytes(section.size_bytes);
    to.set_values(section.values);
    to.set_xxh3(section.hash);
  }
  std::visit([&](const auto& content) { write(content, message); }, envelope.content);

  const auto header_bytes = static_cast<std::uint32_t>(message.ByteSizeLong());
  auto blob = std::vector<std::byte>(round_up(kPrefix_bytes + header_bytes));
  auto* const header = blob.data() + kPrefix_bytes;
  message.SerializeToArray(header, static_cast<int>(header_bytes));
  const auto checksum = checksum_of({header, header_bytes});
  std::memcpy(blob.data(), kMagic.data(), kMagic.size());
  std::memcpy(blob.data() + 8, &header_bytes, sizeof header_bytes);
  std::memcpy(blob.data() + 12, &checksum, sizeof checksum);
  return blob;
}

Result<std::uint64_t> header_size(std::span<const std::byte> beginning) {
  if (beginning.size() < kPrefix_bytes) return 0;
  if (std::memcmp(beginning.data(), kMagic.data(), kMagic.size()) != 0)
    return fail(ec::corrupt_data, "does not begin with the magic number of an fl_actor envelope");
  auto header_bytes = std::uint32_t{0};
  std::memcpy(&header_bytes, beginning.data() + 8, sizeof header_bytes);
  if (header_bytes > kMaxHeader_bytes)
    return fail(ec::corrupt_data,
                "the header claims " + std::to_string(header_bytes) + " bytes, more than allowed");
  return round_up(kPrefix_bytes + header_bytes);
}

Result<DecodedHeader> decode_header(const ByteSource& blob) {
  auto prefix = std::array<std::byte, kPrefix_bytes>();
  if (blob.size() < kPrefix_bytes) return fail(ec::corrupt_data, "too short for an envelope");
  if (auto ok = blob.read(0, prefix); !ok) return tl::unexpected(ok.error());
  if (auto ok = header_size(prefix); !ok) return tl::unexpected(ok.error());
  auto header_bytes = std::uint32_t{0};
  auto checksum = std::uint32_t{0};
  std::memcpy(&header_bytes, prefix.data() + 8, sizeof header_bytes);
  std::memcpy(&checksum, prefix.data() + 12, sizeof checksum);
  const auto payload_offset = round_up(kPrefix_bytes + header_bytes);
  if (payload_offset > blob.size())
    return fail(ec::corrupt_data, "the header claims " + std::to_string(header_bytes) +
                                      " bytes and their padding, more than there are");
  auto header = std::vector<std::byte>(header_bytes);
  if (auto ok = blob.read(kPrefix_bytes, header); !ok) return tl::unexpected(ok.error());
  if (checksum_of(header) != checksum) return fail(ec::corrupt_data, "the header's checksum does not hold");

  auto message = proto::Envelope();
  if (!parse_quietly(message, header))
    return fail(ec::corrupt_data, "the header is not a valid envelope message");
  if (message.format_version() == 0 || message.format_version() > kEnvelopeFormatVersion)
    return fail(ec::unsupported_format, "format version " + std::to_string(message.format_version()) +
                                            " is unknown; this program reads up to " +
                                            std::to_string(kEnvelopeFormatVersion));
  auto decoded = DecodedHeader();
  decoded.payload_offset = payload_offset;
  const auto payload_bytes = blob.size() - payload_offset;
  auto& envelope = decoded.envelope;
  envelope.layout_fingerprint = message.layout_fingerprint();
  for (const auto& from : message.sections()) {
    auto section = read(from, payload_bytes);
    if (!section) return tl::unexpected(section.error());
    envelope.sections.push_back(std::move(*section));
  }
  auto layout = read_layout(message);
  if (!layout) return tl::unexpected(layout.error());
  envelope.layout = std::move(*layout);
  switch (message.content_case()) {
    case proto::Envelope::kModel:
      envelope.content = ModelInfo{message.model().version(), message.model().from_version()};
      break;
    case proto::Envelope::kUpdate:
      envelope.content = read(message.update());
      break;
    case proto::Envelope::kSnapshot:
      envelope.content = read(message.snapshot());
      break;
    case proto::Envelope::kResidual:
      envelope.content = ResidualInfo{message.residual().task(), message.residual().sent_norm(),
                                      message.residual().idle_deltas()};
      break;
    case proto::Envelope::CONTENT_NOT_SET:
      return fail(ec::corrupt_data, "the envelope says nothing of its content");
  }
  return decoded;
}

std::uint64_t hash_of(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

struct Hash::State {
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> hash{XXH3_createState(), XXH3_freeState};
};

Hash::Hash() : state_(std::make_shared<State>()) {
  XXH3_64bits_reset(state_->hash.get());
}

void Hash::add(std::span<const std::byte> bytes) {
  XXH3_64bits_update(state_->hash.get(), bytes.data(), bytes.size());
}

std::uint64_t Hash::value() const {
  return XXH3_64bits_digest(state_->hash.get());
}

Result<std::uint64_t> hash_of(const ByteSource& source) {
  if (const auto all = source.view(); !all.empty()) return hash_of(all);
  auto hash = Hash();
  auto block = std::vector<std::byte>(std::min<std::uint64_t>(kReadBlock_bytes, source.size()));
  for (auto offset = std::uint64_t{0}; offset < source.size(); offset += block.size()) {
    const auto part = std::span(block).first(std::min<std::uint64_t>(block.size(), source.size() - offset));
    if (auto ok = source.read(offset, part); !ok) return tl::unexpected(ok.error());
    hash.add(part);
  }
  return hash.value();
}

}  // namespace fl
