// The table of all keys: name, type, default, what is allowed, and what it means. Everything that reads,
// checks or explains settings goes by it.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/config.hpp"

namespace fl {

/// A value as TOML has it.
using ConfigValue =
    std::variant<bool, std::int64_t, double, std::string, std::vector<double>, std::vector<std::string>>;

/// In the order of ConfigValue's alternatives.
enum class ConfigType : std::uint8_t { boolean, integer, number, text, numbers, texts };

/// "an integer", "a list of numbers", …
std::string_view with_article(ConfigType type);

/// Which numbers are allowed; for a list, each of its entries.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_included = true;
  bool high_included = true;

  bool contains(double value) const;
  std::string to_string() const;  ///< "at least 1", "in (0, 1]"; empty: all
  /// What a value outside should be: "must be at least 1".
  std::string demand_on(double value) const;
};

inline Range at_least(double low) {
  return {.low = low};
}
inline Range above(double low) {
  return {.low = low, .low_included = false};
}
inline Range between(double low, double high) {
  return {.low = low, .high = high};
}
inline Range from_below(double low, double high) {
  return {.low = low, .high = high, .high_included = false};
}
inline Range above_to(double low, double high) {
  return {.low = low, .high = high, .low_included = false};
}
inline Range inside(double low, double high) {
  return {.low = low, .high = high, .low_included = false, .high_included = false};
}

struct ConfigKey {
  std::string name;  ///< "strategy.buffer_size"
  ConfigType type = ConfigType::text;
  std::string documentation;  ///< a paragraph, with the unit
  Range range;
  std::vector<std::string> choices;  ///< empty: any text
  std::string word;                  ///< a number may also be this word; empty: it may not
  bool secret = false;               ///< is not written to config.toml, and not shown
  bool path = false;         ///< of a file or folder; a relative one begins where the value was written
  bool identity = false;     ///< part of what makes two runs the same
  std::string default_note;  ///< what the default follows from, if it is not a constant

  std::function<ConfigValue(const Config&)> get;
  std::function<void(Config&, const ConfigValue&)>
      set;  ///< of a value of `type` within range and choices, or `word`
  std::function<bool(const Config&)>
      given;  ///< null: always; false: the default that follows from other keys is used

  ConfigKey&& says(std::string text) &&;
  ConfigKey&& in(Range allowed) &&;
  ConfigKey&& one_of(std::vector<std::string> allowed) &&;
  ConfigKey&& or_word(std::string allowed) &&;
  ConfigKey&& makes_the_run() &&;
  ConfigKey&& is_path() &&;
  ConfigKey&& is_secret() &&;

  /// The part before the last dot.
  std::string section() const { return name.substr(0, name.rfind('.')); }
  /// The part behind it.
  std::string last_name() const { return name.substr(name.rfind('.') + 1); }
};

struct ConfigSection {
  std::string name;
  std::string sentence;
};

/// All keys, those of a section together.
const std::vector<ConfigKey>& config_keys();

/// The sections in the order of their keys.
const std::vector<ConfigSection>& config_sections();

/// nullptr when there is no such key.
const ConfigKey* find_config_key(std::string_view name);

/// The candidate with the fewest insertions, deletions, replacements and swaps of neighbours, or of which
/// `word` is an abbreviation; empty when more than half of the letters differ.
std::string nearest(std::string_view word, std::span<const std::string> candidates);
/// The key with the same last name, or as above.
std::string nearest_config_key(std::string_view name);

/// As TOML: 5, 0.5, "text", ["a", "b"].
std::string to_toml(const ConfigValue& value);

// The parts of the table, each in a file of its own.
std::vector<ConfigKey> run_keys();       ///< run, model, data, clients
std::vector<ConfigKey> learning_keys();  ///< train, strategy, upload, download, schedule, evaluate
std::vector<ConfigKey> node_keys();      ///< store, net, simulate, chaos, supervision, log

}  // namespace fl
