#include "runtime/safetensors.hpp"

#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "runtime/atomic_file.hpp"

namespace fl {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

namespace {

constexpr std::size_t kHeaderAlignment = 8;

/// The header, padded with spaces so that the data begins aligned.
std::string header_of(const Layout& layout, const std::map<std::string, std::string>& metadata) {
  auto header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  for (const auto& entry : layout.entries()) {
    const auto begin = entry.offset * sizeof(float);
    const auto end = begin + entry.size * sizeof(float);
    header[entry.name] = {{"dtype", "F32"}, {"shape", entry.shape}, {"data_offsets", {begin, end}}};
  }
  auto text = header.dump();
  text.resize((text.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  return text;
}

}  // namespace

Result<void> write_safetensors(const Parameters& model, const std::map<std::string, std::string>& metadata,
                               const std::filesystem::path& file) {
  const auto header = header_of(*model.layout(), metadata);
  const auto header_bytes = std::uint64_t{header.size()};
  auto output = AtomicFile::create(file);
  if (!output) return tl::unexpected(output.error());
  if (auto ok = output->write(std::as_bytes(std::span(&header_bytes, 1))); !ok) return ok;
  if (auto ok = output->write(header); !ok) return ok;
  if (auto ok = output->write(std::as_bytes(model.values())); !ok) return ok;
  return output->commit();
}

}  // namespace fl
