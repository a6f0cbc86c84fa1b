#include "learning/downloads.hpp"

#include <algorithm>

#include "learning/compression/byte_planes.hpp"

namespace fl {

namespace {

/// A model's header for these sections, then their bytes.
ByteSourcePtr blob_of(const PublishedModel& model, Version from, std::vector<Section> sections,
                      const std::vector<std::span<const std::byte>>& bytes) {
  auto envelope = Envelope();
  envelope.layout_fingerprint = model.layout()->fingerprint();
  envelope.content = ModelInfo{model.version(), from};
  const auto payload_bytes = place_sections(sections);
  envelope.sections = std::move(sections);
  const auto header = encode_header(envelope);
  auto blob = AlignedBuffer(header.size() + payload_bytes);
  std::ranges::fill(blob.span(), std::byte{0});
  copy_bytes(header, blob.data());
  for (std::size_t i = 0; i < bytes.size(); ++i)
    copy_bytes(bytes[i], blob.data() + header.size() + envelope.sections[i].offset);
  return std::make_shared<const MemorySource>(std::move(blob));
}

Section section_of(std::string name, std::string codec, std::uint64_t values, std::uint64_t size_bytes) {
  auto section = Section();
  section.name = std::move(name);
  section.codec = std::move(codec);
  section.values = values;
  section.size_bytes = size_bytes;
  return section;
}

}  // namespace

Result<DownloadOptions> parse_download_codec(const std::string& name) {
  auto options = DownloadOptions();
  if (name == "none") return options;
  options.lossless = name == "xor";
  if (options.lossless) return options;
  const auto codec = parse_codec(name);
  if (!codec) return tl::unexpected(codec.error());
  // Under error feedback to nearest, a codec must say more than nothing of every array (a contraction).
  const auto contracts = codec->sparsifier != Sparsifier::random_k && codec->quantizer != Quantizer::qsgd;
  if (!codec->is_lossy() || !contracts)
    return fail(ec::bad_config, "\"" + name +
                                    "\" is no codec for downloads: choose none, xor (lossless changes), or a "
                                    "lossy codec other than random_k and qsgd, such as \"top_k:0.05+int8\"");
  options.lossy = *codec;
  return options;
}

void Downloads::add(const PublishedModelPtr& model, const VersionDeltaPtr& delta) {
  if (options_.whole_only()) return;
  const auto hash = model->values_hash();
  const auto lock = std::lock_guard(mutex_);
  cached_.clear();
  if (options_.lossy.is_lossy() && !delta) window_.clear();
  window_.push_back({model->version(), hash.value_or(0), options_.lossless ? model : nullptr, delta});
  // The newest itself is not behind.
  while (window_.size() > options_.window + 1) window_.pop_front();
}

Result<Download> Downloads::get(const PublishedModelPtr& model, Version held, std::uint64_t held_hash) {
  const auto hash = model->values_hash();
  if (!hash) return tl::unexpected(hash.error());
  if (held_hash == *hash) return Download{nullptr, 0, *hash};
  if (options_.whole_only()) return Download{model, 0, *hash};
  return coded(model, *hash, held, held_hash);
}

Result<Download> Downloads::coded(const PublishedModelPtr& model, std::uint64_t hash, Version held,
                                  std::uint64_t held_hash) {
  const auto lock = std::lock_guard(mutex_);
  if (cached_for_ != hash) {
    cached_.clear();
    cached_for_ = hash;
  }
  const auto from = held_hash == 0 ? std::nullopt : find(held, held_hash);
  const auto key = from ? held_hash : 0;
  if (const auto found = std::ranges::find(cached_, key, &Cached::from); found != cached_.end())
    return found->download;
  auto blob = Result<ByteSourcePtr>(nullptr);
  if (from)
    blob =
        options_.lossless ? exact_change(*model, *window_[*from].model) : lossy_change(*model, hash, *from);
  if (blob && (!*blob || (*blob)->size() >= model->size())) blob = whole(*model);
  if (!blob) return tl::unexpected(blob.error());
  auto download = Download{*blob, hash_of(**blob).value_or(0), hash};
  cached_.push_back({key, download});
  return download;
}

std::optional<std::size_t> Downloads::find(Version version, std::uint64_t hash) const {
  for (std::size_t i = 0; i < window_.size(); ++i)
    if (window_[i].version == version && window_[i].hash == hash) return i;
  return std::nullopt;
}

Result<ByteSourcePtr> Downloads::whole(const PublishedModel& model) const {
  const auto values = model.parameters();
  if (!values) return tl::unexpected(values.error());
  const auto bytes = encode_planes((*values)->values(), {});
  return blob_of(model, 0, {section_of("parameters", "planes", (*values)->size(), bytes.size())},
                 {bytes.span()});
}

Result<ByteSourcePtr> Downloads::exact_change(const PublishedModel& model, const PublishedModel& held) const {
  const auto values = model.parameters();
  const auto before = held.parameters();
  if (!values) return tl::unexpected(values.error());
  if (!before) return tl::unexpected(before.error());
  const auto bytes = encode_planes((*values)->values(), (*before)->values());
  return blob_of(model, held.version(), {section_of("parameters", "xor", (*values)->size(), bytes.size())},
                 {bytes.span()});
}

/// All deltas behind window_[from] up to this version; null where one is missing.
ByteSourcePtr Downloads::lossy_change(const PublishedModel& model, std::uint64_t hash,
                                      std::size_t from) const {
  const auto to = find(model.version(), hash);
  if (!to || *to <= from) return nullptr;
  auto sections = std::vector<Section>();
  auto bytes = std::vector<std::span<const std::byte>>();
  for (auto i = from + 1; i <= *to; ++i) {
    const auto& delta = window_[i].delta;
    if (!delta) return nullptr;
    sections.push_back(
        section_of("delta", to_string(delta->codec), model.layout()->size(), delta->bytes.size()));
    bytes.push_back(delta->bytes.span());
  }
  return blob_of(model, window_[from].version, std::move(sections), bytes);
}

}  // namespace fl
