#include "learning/data/samples.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>

namespace fl {

namespace {

constexpr std::size_t kProblemsShown = 5;
constexpr std::size_t kNamesShown = 10;

}  // namespace

void Problems::add(std::string what) {
  if (count_++ < kProblemsShown) first_.push_back(std::move(what));
}

tl::unexpected<Error> Problems::in(const std::filesystem::path& file) const {
  auto text = file.string() + ": ";
  for (const auto& problem : first_) text += (&problem == &first_.front() ? "" : "; ") + problem;
  if (count_ > first_.size()) text += "; and " + std::to_string(count_ - first_.size()) + " more";
  return fail(ec::bad_data, std::move(text));
}

std::string in_quotes(const std::vector<std::string>& names) {
  auto text = std::string();
  const auto shown = std::min(names.size(), kNamesShown);
  for (auto i = std::size_t{0}; i < shown; ++i) {
    if (i > 0) text += i + 1 == names.size() ? " and " : ", ";
    text += "\"" + names[i] + "\"";
  }
  if (names.size() > shown) text += " and " + std::to_string(names.size() - shown) + " more";
  return text;
}

std::optional<std::int64_t> class_index(const DataSchema& schema, std::string_view name) {
  const auto found = std::ranges::find(schema.classes, name);
  if (found == schema.classes.end()) return std::nullopt;
  return found - schema.classes.begin();
}

Result<std::string> read_whole(const std::filesystem::path& file) {
  auto error = std::error_code();
  if (std::filesystem::is_directory(file, error))
    return fail(ec::bad_data, file.string() + " is a folder, expected a file");
  errno = 0;
  auto input = std::ifstream(file, std::ios::binary);
  if (!input)
    return fail(ec::bad_data, file.string() + " cannot be opened: " + std::generic_category().message(errno));
  auto text = std::string(std::istreambuf_iterator<char>(input), {});
  if (input.bad()) return fail(ec::bad_data, file.string() + " cannot be read to its end");
  return text;
}

bool is_utf8(std::string_view text) {
  for (auto at = std::size_t{0}; at < text.size();) {
    const auto first = static_cast<unsigned char>(text[at]);
    const auto more = first < 0x80       ? 0U
                      : first >> 5 == 6  ? 1U
                      : first >> 4 == 14 ? 2U
                      : first >> 3 == 30 ? 3U
                                         : 4U;
    if (first == 0 || more == 4 || at + more >= text.size()) return false;
    auto code = more == 0 ? first : first & (0x3FU >> more);
    for (auto i = 1U; i <= more; ++i) {
      const auto next = static_cast<unsigned char>(text[at + i]);
      if (next >> 6 != 2) return false;
      code = code << 6 | (next & 0x3FU);
    }
    constexpr std::array kLeast = {0U, 0x80U, 0x800U, 0x10000U};
    if (code < kLeast[more] || code > 0x10FFFF || code >> 11 == 0x1B) return false;
    at += more + 1;
  }
  return true;
}

std::vector<std::string> numbered_classes(std::int64_t count) {
  auto names = std::vector<std::string>();
  for (auto label = std::int64_t{0}; label < count; ++label) names.push_back(std::to_string(label));
  return names;
}

}  // namespace fl
