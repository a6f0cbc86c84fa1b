#include "runtime/safetensors.hpp"

#include <algorithm>
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

// -- Reading --------------------------------------------------------------------------------------

namespace {

/// Of the header, in the format's own definition.
constexpr std::uint64_t kMaxSafetensorsHeader_bytes = 100'000'000;

/// Bytes of a value; 0 for types that this program does not know.
std::uint64_t width_of(const std::string& dtype) {
  static const auto widths = std::map<std::string, std::uint64_t>{
      {"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8}, {"U64", 8}, {"I32", 4},
      {"U32", 4}, {"I16", 2}, {"U16", 2}, {"I8", 1},   {"U8", 1},  {"BOOL", 1}};
  const auto found = widths.find(dtype);
  return found == widths.end() ? 0 : found->second;
}

/// `json` is an entry of the header; nlohmann's exceptions say what it lacks.
Result<StoredTensor> tensor_of(const std::string& name, const nlohmann::ordered_json& json,
                               std::uint64_t data_begin, std::uint64_t data_bytes) {
  const auto damaged = [&](const std::string& what) {
    return fail(ec::corrupt_data, "tensor \"" + name + "\" " + what);
  };
  auto tensor = StoredTensor();
  tensor.name = name;
  auto offsets = std::vector<std::uint64_t>();
  try {
    tensor.dtype = json.at("dtype").get<std::string>();
    tensor.shape = json.at("shape").get<std::vector<std::int64_t>>();
    offsets = json.at("data_offsets").get<std::vector<std::uint64_t>>();
  } catch (const nlohmann::json::exception& error) {
    return damaged(std::string("is not described as it should be: ") + error.what());
  }
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_bytes)
    return damaged("lies outside of the file's " + std::to_string(data_bytes) + " bytes of data");
  tensor.offset = data_begin + offsets[0];
  tensor.size_bytes = offsets[1] - offsets[0];
  tensor.values = 1;
  for (const auto length : tensor.shape) {
    if (length < 0 ||
        __builtin_mul_overflow(tensor.values, static_cast<std::uint64_t>(length), &tensor.values))
      return damaged("has an impossible shape");
  }
  const auto width = width_of(tensor.dtype);
  if (width > 0 && (tensor.size_bytes % width != 0 || tensor.size_bytes / width != tensor.values))
    return damaged("has " + std::to_string(tensor.size_bytes) + " bytes, which its shape and type (" +
                   tensor.dtype + ") do not account for");
  return tensor;
}

}  // namespace

Result<SafetensorsHeader> read_safetensors_header(const ByteSource& file) {
  auto size = std::uint64_t{0};
  if (file.size() < sizeof size) return fail(ec::corrupt_data, "too short for a safetensors file");
  if (auto ok = file.read(0, std::as_writable_bytes(std::span(&size, 1))); !ok)
    return tl::unexpected(ok.error());
  if (size > std::min(kMaxSafetensorsHeader_bytes, file.size() - sizeof size))
    return fail(ec::corrupt_data, "the safetensors header claims " + std::to_string(size) +
                                      " bytes, more than there are or than may be");
  auto text = std::string(size, ' ');
  if (auto ok = file.read(sizeof size, std::as_writable_bytes(std::span(text))); !ok)
    return tl::unexpected(ok.error());
  const auto json = nlohmann::ordered_json::parse(text, nullptr, false);
  if (!json.is_object()) return fail(ec::corrupt_data, "the safetensors header is no JSON object");
  auto header = SafetensorsHeader();
  const auto data_begin = sizeof size + size;
  for (const auto& [name, entry] : json.items()) {
    if (name == "__metadata__") {
      for (const auto& [key, value] : entry.items())
        if (value.is_string()) header.metadata[key] = value.get<std::string>();
      continue;
    }
    auto tensor = tensor_of(name, entry, data_begin, file.size() - data_begin);
    if (!tensor) return tl::unexpected(tensor.error());
    header.tensors.push_back(std::move(*tensor));
  }
  std::ranges::stable_sort(header.tensors, {}, &StoredTensor::offset);
  return header;
}

}  // namespace fl
