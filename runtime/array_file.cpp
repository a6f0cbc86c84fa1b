#include "runtime/array_file.hpp"

#include <array>
#include <string>
#include <utility>

#include "runtime/atomic_file.hpp"

namespace fl {

Result<void> write_arrays(const std::filesystem::path& file, Envelope envelope,
                          const std::vector<NamedArray>& arrays) {
  for (const auto& [name, values] : arrays) {
    auto section = Section();
    section.name = name;
    section.size_bytes = values.size_bytes();
    section.values = values.size();
    section.hash = hash_of(std::as_bytes(values));
    envelope.sections.push_back(std::move(section));
  }
  place_sections(envelope.sections);

  auto output = AtomicFile::create(file);
  if (!output) return tl::unexpected(output.error());
  if (auto ok = output->write(encode_header(envelope)); !ok) return ok;
  auto written = std::uint64_t{0};
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    static constexpr auto padding = std::array<std::byte, 64>();
    const auto gap = envelope.sections[i].offset - written;  // sections begin at multiples of 64
    if (auto ok = output->write(std::span(padding).first(gap)); !ok) return ok;
    if (auto ok = output->write(std::as_bytes(arrays[i].values)); !ok) return ok;
    written = envelope.sections[i].offset + envelope.sections[i].size_bytes;
  }
  return output->commit();
}

Result<Parameters> read_array(const ByteSource& file, const DecodedHeader& header, std::string_view name,
                              bool required, const LayoutPtr& layout) {
  const auto* section = header.envelope.find(name);
  const auto damaged = [&](const std::string& what) {
    return fail(ec::corrupt_data, "array \"" + std::string(name) + "\" " + what);
  };
  if (!section) {
    if (required) return damaged("is missing");
    return Parameters();
  }
  if (section->codec != "none")
    return fail(ec::run_folder_refused,
                "array \"" + std::string(name) + "\" is coded as \"" + section->codec +
                    "\", which this version cannot read; resume with the one that wrote it");
  if (section->values != layout->size()) return damaged("has not the model's size");
  auto array = Parameters(layout);
  const auto bytes = std::as_writable_bytes(array.values());
  if (auto ok = file.read(header.payload_offset + section->offset, bytes); !ok)
    return tl::unexpected(ok.error());
  if (hash_of(bytes) != section->hash) return damaged("does not match its checksum");
  return array;
}

}  // namespace fl
