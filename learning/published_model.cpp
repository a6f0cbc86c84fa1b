#include "learning/published_model.hpp"

#include <algorithm>
#include <cstring>

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

}  // namespace

PublishedModel::PublishedModel(Version version, ParametersPtr parameters)
    : version_(version),
      layout_(parameters->layout()),
      header_(header_of(version, *layout_)),
      parameters_(std::move(parameters)) {}

Result<void> PublishedModel::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (offset > size() || out.size() > size() - offset)
    return fail(ec::corrupt_data, "bytes beyond the end of version " + std::to_string(version_));
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
  std::memcpy(out.data(), parameters->bytes().data() + offset, out.size());
  return {};
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

Result<ParametersPtr> PublishedModel::parameters() const {
  {
    const auto lock = std::lock_guard(mutex_);
    if (parameters_) return parameters_;
  }
  auto values = Parameters(layout_);
  if (auto ok = file_->read(0, std::as_writable_bytes(values.values())); !ok) return tl::unexpected(ok.error());
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

Result<Parameters> decode_model(const ByteSource& blob, const LayoutPtr& layout) {
  auto decoded = decode_header(blob);
  if (!decoded) return tl::unexpected(decoded.error());
  const auto& envelope = decoded->envelope;
  if (!std::holds_alternative<ModelInfo>(envelope.content)) return fail(ec::corrupt_data, "the blob is not a model");
  const auto* section = envelope.find("parameters");
  if (section == nullptr || section->codec != "none" || section->values != layout->size() ||
      envelope.layout_fingerprint != layout->fingerprint())
    return fail(ec::layout_mismatch, "the downloaded model does not fit this client's; both need the same model.name");
  auto parameters = Parameters(layout);
  auto values = std::as_writable_bytes(parameters.values());
  if (auto ok = blob.read(decoded->payload_offset + section->offset, values); !ok) return tl::unexpected(ok.error());
  return parameters;
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
