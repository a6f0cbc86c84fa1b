#include "learning/data/samples.hpp"

#include <algorithm>

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

std::vector<std::string> numbered_classes(std::int64_t count) {
  auto names = std::vector<std::string>();
  for (auto label = std::int64_t{0}; label < count; ++label) names.push_back(std::to_string(label));
  return names;
}

}  // namespace fl
