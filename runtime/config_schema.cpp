#include "runtime/config_schema.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace fl {

std::string_view with_article(ConfigType type) {
  switch (type) {
    case ConfigType::boolean:
      return "true or false";
    case ConfigType::integer:
      return "an integer";
    case ConfigType::number:
      return "a number";
    case ConfigType::text:
      return "a string";
    case ConfigType::numbers:
      return "a list of numbers";
    case ConfigType::texts:
      return "a list of strings";
  }
  return "a value";
}

// -- Ranges ---------------------------------------------------------------------------------------

namespace {

/// Without a decimal point where there is nothing behind it: limits of integers and numbers alike.
std::string limit_text(double limit) {
  if (std::nearbyint(limit) == limit && std::abs(limit) < 1e18)
    return std::to_string(static_cast<std::int64_t>(limit));
  return to_toml(ConfigValue(limit));
}

}  // namespace

bool Range::contains(double value) const {
  return std::isfinite(value) && (low_included ? value >= low : value > low) &&
         (high_included ? value <= high : value < high);
}

std::string Range::to_string() const {
  const auto bounded_below = std::isfinite(low);
  // The limits of 32 and 64 bits are no limits that a reader wants to know.
  const auto bounded_above = high < std::numeric_limits<std::uint32_t>::max();
  if (bounded_below && bounded_above)
    return std::string("in ") + (low_included ? "[" : "(") + limit_text(low) + ", " + limit_text(high) +
           (high_included ? "]" : ")");
  if (bounded_below) return (low_included ? "at least " : "above ") + limit_text(low);
  return "";
}

std::string Range::demand_on(double value) const {
  if (!std::isfinite(value)) return "must be a finite number";
  const auto upper_limit_is_said = to_string().starts_with("in ");
  if (value > high && !upper_limit_is_said) return "must be at most " + limit_text(high);
  return "must be " + to_string();
}

// -- Making keys ----------------------------------------------------------------------------------

ConfigKey&& ConfigKey::says(std::string text) && {
  documentation = std::move(text);
  return std::move(*this);
}

ConfigKey&& ConfigKey::in(Range allowed) && {
  // The member's own limits stay.
  range.low = std::max(range.low, allowed.low);
  range.high = std::min(range.high, allowed.high);
  range.low_included = allowed.low_included;
  range.high_included = allowed.high_included;
  return std::move(*this);
}

ConfigKey&& ConfigKey::one_of(std::vector<std::string> allowed) && {
  choices = std::move(allowed);
  return std::move(*this);
}

ConfigKey&& ConfigKey::or_word(std::string allowed) && {
  word = std::move(allowed);
  return std::move(*this);
}

ConfigKey&& ConfigKey::makes_the_run() && {
  identity = true;
  return std::move(*this);
}

ConfigKey&& ConfigKey::is_path() && {
  path = true;
  return std::move(*this);
}

ConfigKey&& ConfigKey::is_secret() && {
  secret = true;
  return std::move(*this);
}

// -- The table ------------------------------------------------------------------------------------

const std::vector<ConfigKey>& config_keys() {
  static const auto keys = [] {
    auto all = std::vector<ConfigKey>();
    for (auto& part : {run_keys(), learning_keys(), node_keys()})
      all.insert(all.end(), part.begin(), part.end());
    return all;
  }();
  return keys;
}

const std::vector<ConfigSection>& config_sections() {
  static const auto sections = std::vector<ConfigSection>{
      {"run", "The run and when it ends: at the first goal that is reached."},
      {"model", "What is trained."},
      {"data", "What it is trained on, and who has which part."},
      {"clients", "Who takes part, and, in a simulation, how fast and how reliable they are."},
      {"train",
       "How clients train. The aggregator decides and sends it with each task, except what does not travel."},
      {"strategy", "How the server makes versions of updates."},
      {"upload", "Updates on their way to the server."},
      {"download", "Models on their way to the clients."},
      {"schedule", "Who is given work, and until when."},
      {"validate", "What the server takes from clients, and what becomes of those who send anything else."},
      {"evaluate", "How versions are measured on held-out data."},
      {"store", "How the run is kept in its folder."},
      {"net", "How nodes reach each other."},
      {"net.tls", "Mutual TLS between nodes."},
      {"dashboard",
       "A page about the run, for browsers, and its metrics for Prometheus (docs/dashboard.md)."},
      {"client", "What a client keeps."},
      {"simulate", "The role simulate: the whole federation in one process."},
      {"chaos", "Failures on purpose."},
      {"supervision", "How crashed actors come back."},
      {"log", "What is said while the run goes on, on stderr."},
  };
  return sections;
}

const ConfigKey* find_config_key(std::string_view name) {
  const auto& keys = config_keys();
  const auto found =
      std::find_if(keys.begin(), keys.end(), [&](const auto& key) { return key.name == name; });
  return found == keys.end() ? nullptr : &*found;
}

// -- The nearest name -----------------------------------------------------------------------------

namespace {

/// Optimal string alignment distance: insertions, deletions, replacements, swaps of neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  auto before_last = std::vector<std::size_t>(b.size() + 1);
  auto last = before_last;
  auto current = before_last;
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u);
      current[j] = std::min({last[j] + 1, current[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        current[j] = std::min(current[j], before_last[j - 2] + 1);
    }
    std::swap(before_last, last);
    std::swap(last, current);
  }
  return last[b.size()];
}

/// Whether the letters of `word` come in this order in `candidate`: "train.lr" in "train.learning_rate".
bool abbreviates(std::string_view word, std::string_view candidate) {
  auto matched = std::size_t{0};
  for (const auto c : candidate) matched += matched < word.size() && word[matched] == c ? 1 : 0;
  return matched == word.size();
}

/// An abbreviation is as near as a word with this many misspellings.
constexpr std::size_t kAbbreviationDistance = 2;

/// The candidate that is nearest, and how near: 0 is the same.
std::pair<std::string, std::size_t> closest(std::string_view word, std::span<const std::string> candidates) {
  auto best = std::string();
  auto best_distance =
      std::pair(std::numeric_limits<std::size_t>::max(), std::numeric_limits<std::size_t>::max());
  for (const auto& candidate : candidates) {
    // A word needs at least as many edits as it is too long or too short.
    const auto least = std::max(word.size(), candidate.size()) - std::min(word.size(), candidate.size());
    if (least > best_distance.second && !abbreviates(word, candidate)) continue;
    const auto edits = edit_distance(word, candidate);
    const auto nearness = abbreviates(word, candidate) ? std::min(edits, kAbbreviationDistance) : edits;
    if (std::pair(nearness, edits) < best_distance) {
      best_distance = {nearness, edits};
      best = candidate;
    }
  }
  return {best, best_distance.first};
}

}  // namespace

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
  const auto [best, distance] = closest(word, candidates);
  const auto half = (std::max(word.size(), best.size()) + 1) / 2;
  return distance <= half ? best : "";
}

std::string nearest_config_key(std::string_view name) {
  // A right name in the wrong section ("train.seed", "seed") is nearer than any misspelling.
  const auto last_name = name.substr(name.rfind('.') + 1);
  auto names = std::vector<std::string>();
  auto same_last_name = std::vector<std::string>();
  for (const auto& key : config_keys()) {
    names.push_back(key.name);
    if (key.last_name() == last_name) same_last_name.push_back(key.name);
  }
  return same_last_name.empty() ? nearest(name, names) : closest(name, same_last_name).first;
}

// -- Values as TOML -------------------------------------------------------------------------------

namespace {

std::string toml_number(double value) {
  auto digits = std::array<char, 32>();
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  auto text = std::string(digits.data(), end);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string toml_text(std::string_view value) {
  auto text = std::string("\"");
  for (const auto c : value) {
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      auto escape = std::array<char, 8>();
      std::snprintf(escape.data(), escape.size(), "\\u%04X",
                    static_cast<unsigned>(static_cast<unsigned char>(c)));
      text += escape.data();
    } else {
      text += c;
    }
  }
  return text + '"';
}

template <class Element, class Format>
std::string toml_list(const std::vector<Element>& values, Format format) {
  auto text = std::string("[");
  for (const auto& value : values) text += (text.size() > 1 ? ", " : "") + format(value);
  return text + "]";
}

struct TomlWriter {
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(std::int64_t value) const { return std::to_string(value); }
  std::string operator()(double value) const { return toml_number(value); }
  std::string operator()(const std::string& value) const { return toml_text(value); }
  std::string operator()(const std::vector<double>& values) const { return toml_list(values, toml_number); }
  std::string operator()(const std::vector<std::string>& values) const {
    return toml_list(values, toml_text);
  }
};

}  // namespace

std::string to_toml(const ConfigValue& value) {
  return std::visit(TomlWriter(), value);
}

}  // namespace fl
