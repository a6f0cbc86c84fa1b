#include "learning/data/text_file.hpp"

namespace fl {

namespace {

constexpr std::uint8_t kFirstPrintable = 32;
constexpr std::uint8_t kLastPrintable = 126;
constexpr std::uint8_t kTab = 96;
constexpr std::uint8_t kOther = 97;

std::uint8_t code_of(unsigned char letter) {
  if (letter == '\n') return 0;
  if (letter >= kFirstPrintable && letter <= kLastPrintable)
    return static_cast<std::uint8_t>(letter - kFirstPrintable + 1);
  return letter == '\t' ? kTab : kOther;
}

}  // namespace

const std::vector<std::string>& text_characters() {
  static const auto characters = [] {
    auto all = std::vector<std::string>{"\n"};
    for (auto letter = kFirstPrintable; letter <= kLastPrintable; ++letter)
      all.emplace_back(1, static_cast<char>(letter));
    all.insert(all.end(), {"\t", "other"});
    return all;
  }();
  return characters;
}

DataSchema text_schema(std::uint32_t length) {
  auto schema = DataSchema();
  schema.kind = "text";
  schema.shape = {std::int64_t{length}};
  schema.classes = text_characters();
  return schema;
}

Result<void> read_text_codes(const std::filesystem::path& file, std::vector<std::uint8_t>& codes) {
  const auto read = read_whole(file);
  if (!read) return tl::unexpected(read.error());
  const auto& text = *read;
  for (auto at = std::size_t{0}; at < text.size(); ++at)
    if (text[at] != '\r' || at + 1 == text.size() || text[at + 1] != '\n')
      codes.push_back(code_of(static_cast<unsigned char>(text[at])));
  return {};
}

}  // namespace fl
