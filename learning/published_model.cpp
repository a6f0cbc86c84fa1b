#include "learning/published_model.hpp"

#include <algorithm>
#include <cstring>

#include "learning/compression/byte_planes.hpp"
#include "learning/compression/encoded_array.hpp"
#include "messages/file_source.hpp"

namespace fl {

namespace {

std::vector<std::byte> header_of(Version version, const Layout& layout) {
  auto envelope = Envelope();
  envelope.layout_fingerprint = layout.fingerprint();
  envelope.layout = layout;
  envelope.content = ModelInfo{version};
  auto section = Section();
  section.name = "parameters";
  section.values = layout.size();
  section.size_bytes = layout.size_bytes();
  envelope.sections = {section};
  place_sections(envelope.sections);
  return encode_header(envelope);
}

/// The first bytes of a blob whose rest is still on its way.
class PrefixSource final : public ByteSource {
 public:
  PrefixSource(std::span<const std::byte> prefix, std::uint64_t size) : prefix_(prefix), size_(size) {}
  std::uint64_t size() const override { return size_; }
  Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset > prefix_.size() || out.size() > prefix_.size() - offset)
      return fail(ec::corrupt_data, "the blob's header is not whole");
    copy_bytes(prefix_.subspan(offset, out.size()), out.data());
    return {};
  }

 private:
  std::span<const std::byte> prefix_;
  std::uint64_t size_;
};

}  // namespace

PublishedModel::PublishedModel(Version version, ParametersPtr parameters)
    : version_(version),
      layout_(parameters->layout()),
      header_(header_of(version, *layout_)),
      parameters_(std::move(parameters)) {}

Result<void> PublishedModel::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (offset > size() || out.size() > size() - offset)
    return fail(ec::corrupt_data, "bytes beyond the end of version " + std::to_string(version_));
  if (out.empty()) return {};
  if (offset < header_.size()) {
    const auto part = std::min<std::uint64_t>(out.size(), header_.size() - offset);
    std::memcpy(out.data(), header_.data() + offset, part);
    out = out.subspan(part);
    offset += part;
  }
  if (out.empty()) return {};
  offset -= header_.size();
  auto parameters = ParametersPtr();
  auto file = ByteSourcePtr();
  {
    const auto lock = std::lock_guard(mutex_);
    parameters = parameters_;
    file = file_;
  }
  if (!parameters) return file->read(offset, out);
  copy_bytes(parameters->bytes().subspan(offset, out.size()), out.data());
  return {};
}

Result<Bytes> PublishedModel::part(std::uint64_t offset, std::uint64_t length) const {
  auto parameters = ParametersPtr();
  {
    const auto lock = std::lock_guard(mutex_);
    parameters = parameters_;
  }
  if (!parameters || offset < header_.size() || offset > size() || length > size() - offset)
    return ByteSource::part(offset, length);
  const auto bytes = parameters->bytes().subspan(offset - header_.size(), length);
  return Bytes(std::move(parameters), bytes);
}

Result<std::uint64_t> PublishedModel::hash() const {
  {
    const auto lock = std::lock_guard(mutex_);
    if (hash_) return *hash_;
  }
  auto hash = hash_of(*this);
  if (!hash) return hash;
  const auto lock = std::lock_guard(mutex_);
  hash_ = *hash;
  return hash;
}

Result<std::uint64_t> PublishedModel::values_hash() const {
  {
    const auto lock = std::lock_guard(mutex_);
    if (values_hash_) return *values_hash_;
  }
  const auto values = parameters();
  if (!values) return tl::unexpected(values.error());
  const auto hash = values_hash_of(**values);
  const auto lock = std::lock_guard(mutex_);
  values_hash_ = hash;
  return hash;
}

Result<ParametersPtr> PublishedModel::parameters() const {
  {
    const auto lock = std::lock_guard(mutex_);
    if (parameters_) return parameters_;
  }
  auto values = Parameters(layout_);
  if (auto ok = file_->read(0, std::as_writable_bytes(values.values())); !ok)
    return tl::unexpected(ok.error());
  return std::make_shared<const Parameters>(std::move(values));
}

Result<void> PublishedModel::spill(const std::filesystem::path& folder) const {
  auto parameters = ParametersPtr();
  {
    const auto lock = std::lock_guard(mutex_);
    parameters = parameters_;
  }
  if (!parameters) return {};
  auto sink = FileSink::create(folder, layout_->size_bytes());
  if (!sink) return tl::unexpected(sink.error());
  if (auto ok = sink->write(0, parameters->bytes().first(layout_->size_bytes())); !ok) return ok;
  const auto lock = std::lock_guard(mutex_);
  file_ = std::move(*sink).finish();
  parameters_.reset();
  return {};
}

bool PublishedModel::in_memory() const {
  const auto lock = std::lock_guard(mutex_);
  return parameters_ != nullptr;
}

ModelReceiver::ModelReceiver(LayoutPtr layout, std::uint64_t size, std::uint64_t hash)
    : layout_(std::move(layout)), size_(size), expected_hash_(hash) {}

Result<void> ModelReceiver::add(std::span<const std::byte> part) {
  if (part.size() > size_ - received_) return fail(ec::corrupt_data, "the model is longer than announced");
  hash_.add(part);
  const auto offset = received_;
  received_ += part.size();
  if (blob_.size() > 0) {
    copy_bytes(part, blob_.data() + offset);
    return {};
  }
  if (parameters_) {
    auto target = std::as_writable_bytes(parameters_->values());
    if (offset - payload_offset_ + part.size() > target.size())
      return fail(ec::corrupt_data, "the model holds more than its parameters");
    copy_bytes(part, target.data() + (offset - payload_offset_));
    return {};
  }
  head_.insert(head_.end(), part.begin(), part.end());
  return read_header();
}

Result<void> ModelReceiver::read_header() {
  const auto needed = header_size(head_);
  if (!needed) return tl::unexpected(needed.error());
  if (*needed == 0 || head_.size() < *needed) {
    if (complete()) return fail(ec::corrupt_data, "the model ends within its header");
    return {};
  }
  auto decoded = decode_header(PrefixSource(head_, size_));
  if (!decoded) return tl::unexpected(decoded.error());
  const auto& envelope = decoded->envelope;
  if (!std::holds_alternative<ModelInfo>(envelope.content))
    return fail(ec::corrupt_data, "the blob is not a model");
  const auto fits = [&](const Section& section) { return section.values == layout_->size(); };
  if (envelope.layout_fingerprint != layout_->fingerprint() || envelope.sections.empty() ||
      !std::ranges::all_of(envelope.sections, fits))
    return fail(ec::layout_mismatch,
                "the server's model does not fit this client's; both need the same model.name");
  const auto& first = envelope.sections.front();
  if (first.name == "parameters" && first.codec == "none") return begin_whole(*decoded);
  // A change that is longer than what it makes is none that a server sends.
  if (size_ > layout_->size_bytes() + kMaxHeader_bytes)
    return fail(ec::corrupt_data, "the coded model is longer than the model");
  changes_held_ = std::ranges::any_of(envelope.sections, [](const Section& section) {
    return section.name != "parameters" || section.codec == "xor";
  });
  blob_ = AlignedBuffer(size_);
  copy_bytes(head_, blob_.data());
  header_ = std::move(*decoded);
  head_.clear();
  return {};
}

Result<void> ModelReceiver::begin_whole(const DecodedHeader& header) {
  if (header.envelope.sections.front().offset != 0 || header.envelope.sections.size() > 1)
    return fail(ec::corrupt_data, "the model's parameters are not where they belong");
  payload_offset_ = header.payload_offset;
  parameters_.emplace(layout_);
  const auto rest = std::span(head_).subspan(std::min<std::size_t>(payload_offset_, head_.size()));
  if (rest.size() > layout_->size_bytes())
    return fail(ec::corrupt_data, "the model holds more than its parameters");
  copy_bytes(rest, std::as_writable_bytes(parameters_->values()).data());
  head_.clear();
  return {};
}

Result<ParametersPtr> ModelReceiver::finish(const ParametersPtr& held) {
  if (!complete() || (!parameters_ && blob_.size() == 0))
    return fail(ec::corrupt_data, "the model is not whole");
  if (expected_hash_ != 0 && hash_.value() != expected_hash_)
    return fail(ec::corrupt_data, "the model was damaged on its way");
  if (blob_.size() > 0) return decoded(held);
  return std::make_shared<const Parameters>(std::move(*parameters_));
}

Result<ParametersPtr> ModelReceiver::decoded(const ParametersPtr& held) const {
  if (changes_held_ && (!held || *held->layout() != *layout_))
    return fail(ec::corrupt_data, "what came is a change of a model that this client does not hold");
  const auto source = std::make_shared<const BorrowedSource>(blob_.span());
  auto values = Parameters(layout_);
  if (changes_held_) std::ranges::copy(held->values(), values.values().begin());
  for (const auto& section : header_.envelope.sections) {
    const auto offset = header_.payload_offset + section.offset;
    auto done = Result<void>();
    if (section.name == "parameters" && (section.codec == "planes" || section.codec == "xor")) {
      const auto before = section.codec == "xor" ? held->values() : std::span<const float>();
      done = decode_planes(*source, offset, section.size_bytes, before, values.values());
    } else if (section.name == "delta") {
      const auto codec = parse_codec(section.codec);
      if (!codec)
        return fail(ec::unsupported_format, "the model is coded in a way that this release cannot read");
      done = add_decoded({source, offset, section.values, section.size_bytes, *codec}, 1, values.values());
    } else {
      done = fail(ec::unsupported_format, "the model is coded in a way that this release cannot read");
    }
    if (!done) return tl::unexpected(done.error());
  }
  return std::make_shared<const Parameters>(std::move(values));
}

PublishedModels::PublishedModels(std::filesystem::path folder, std::size_t keep_in_memory)
    : folder_(std::move(folder)), keep_in_memory_(keep_in_memory) {}

PublishedModelPtr PublishedModels::publish(Version version, ParametersPtr parameters) {
  auto model = std::make_shared<const PublishedModel>(version, std::move(parameters));
  std::erase_if(alive_, [](const auto& old) { return old.expired(); });
  alive_.push_back(model);
  if (folder_.empty()) return model;
  auto in_memory = std::size_t{0};
  for (auto it = alive_.rbegin(); it != alive_.rend(); ++it) {
    const auto old = it->lock();
    if (!old || !old->in_memory()) continue;
    // Where the disk is full the model stays in memory: slower to run out of is better than lost.
    if (++in_memory > keep_in_memory_) (void)old->spill(folder_);
  }
  return model;
}

}  // namespace fl
