#include "runtime/safetensors.hpp"

#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "runtime/atomic_file.hpp"

namespace fl {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

namespace {

constexpr std::size_t kHeaderAlignment = 8;

using Metadata = std::map<std::string, std::string>;

/// A header being written, tensor after tensor; the data begin aligned behind it.
class Header {
 public:
  explicit Header(const Metadata& metadata) {
    if (!metadata.empty()) json_["__metadata__"] = metadata;
  }

  void add(const std::string& name, const char* dtype, const std::vector<std::int64_t>& shape,
           std::uint64_t size_bytes) {
    json_[name] = {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {end_, end_ + size_bytes}}};
    end_ += size_bytes;
  }

  std::string text() const {
    auto text = json_.dump();
    text.resize((text.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
    return text;
  }

 private:
  nlohmann::ordered_json json_ = nlohmann::ordered_json::object();
  std::uint64_t end_ = 0;
};

Result<AtomicFile> begin_file(const std::filesystem::path& file, const Header& header) {
  const auto text = header.text();
  const auto size = std::uint64_t{text.size()};
  auto output = AtomicFile::create(file);
  if (!output) return output;
  if (auto ok = output->write(std::as_bytes(std::span(&size, 1))); !ok) return tl::unexpected(ok.error());
  if (auto ok = output->write(text); !ok) return tl::unexpected(ok.error());
  return output;
}

}  // namespace

Result<void> write_safetensors(const Parameters& model, const Metadata& metadata,
                               const std::filesystem::path& file) {
  auto header = Header(metadata);
  for (const auto& entry : model.layout()->entries())
    header.add(entry.name, "F32", entry.shape, entry.size * sizeof(float));
  auto output = begin_file(file, header);
  if (!output) return tl::unexpected(output.error());
  if (auto ok = output->write(std::as_bytes(model.values())); !ok) return ok;
  return output->commit();
}

Result<void> write_safetensors(const QuantizedModel& model, const Metadata& metadata,
                               const std::filesystem::path& file) {
  // Float32 first, so that all of it is aligned.
  auto header = Header(metadata);
  const auto& entries = model.layout->entries();
  for (const auto& entry : entries) {
    if (!is_quantized(entry)) header.add(entry.name, "F32", entry.shape, entry.size * sizeof(float));
  }
  for (const auto& entry : entries) {
    if (!is_quantized(entry)) continue;
    header.add(entry.name + ".scale", "F32", {entry.shape.front()}, channels_of(entry) * sizeof(float));
  }
  for (const auto& entry : entries) {
    if (is_quantized(entry)) header.add(entry.name, "I8", entry.shape, entry.size);
  }
  auto output = begin_file(file, header);
  if (!output) return tl::unexpected(output.error());
  if (auto ok = output->write(std::as_bytes(std::span(model.rest))); !ok) return ok;
  if (auto ok = output->write(std::as_bytes(std::span(model.scales))); !ok) return ok;
  if (auto ok = output->write(std::as_bytes(std::span(model.codes))); !ok) return ok;
  return output->commit();
}

}  // namespace fl
