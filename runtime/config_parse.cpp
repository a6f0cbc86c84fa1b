#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include "runtime/config_values.hpp"

namespace fl {

// -- Errors ---------------------------------------------------------------------------------------

namespace {

/// A hint at a name that may be meant; empty: nothing is near.
std::string hint(const char* what, const std::string& name) {
  return name.empty() ? "" : std::string("; the nearest ") + what + " \"" + name + "\"";
}

}  // namespace

tl::unexpected<Error> unknown_key(const std::string& where, std::string_view name) {
  const auto& sections = config_sections();
  for (const auto& section : sections) {
    if (section.name == name)
      return fail(ec::bad_config, where + ": \"" + std::string(name) + "\" is a section, not a key" +
                                      hint("valid key is", nearest_config_key(name)));
  }
  return fail(ec::bad_config, where + ": unknown key \"" + std::string(name) + "\"" +
                                  hint("valid key is", nearest_config_key(name)) +
                                  " (docs/configuration.md lists all)");
}

tl::unexpected<Error> wrong_type(const std::string& where, const ConfigKey& key, const std::string& found) {
  const auto or_word = key.word.empty() ? "" : " or \"" + key.word + "\"";
  return fail(ec::bad_config, where + ": " + key.name + " must be " + std::string(with_article(key.type)) +
                                  or_word + ", but " + found);
}

namespace {

std::string said(const GivenValue& given) {
  return given.where + ": " + given.key->name + " = " + to_toml(given.value);
}

std::string quoted_list(const std::vector<std::string>& words) {
  auto text = std::string();
  for (const auto& word : words) text += (text.empty() ? "\"" : ", \"") + word + "\"";
  return text;
}

// -- Values from the command line -----------------------------------------------------------------

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string unquoted(std::string_view text) {
  const auto quoted =
      text.size() >= 2 && text.front() == text.back() && (text.front() == '"' || text.front() == '\'');
  return std::string(quoted ? text.substr(1, text.size() - 2) : text);
}

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  auto value = Number();
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The elements of "[a, b]" or "a,b".
std::vector<std::string_view> list_elements(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) text = trimmed(text.substr(1, text.size() - 2));
  auto elements = std::vector<std::string_view>();
  while (!text.empty()) {
    const auto comma = text.find(',');
    elements.push_back(trimmed(text.substr(0, comma)));
    text = comma == std::string_view::npos ? std::string_view() : trimmed(text.substr(comma + 1));
  }
  return elements;
}

std::optional<ConfigValue> parse_value(std::string_view text, ConfigType type) {
  switch (type) {
    case ConfigType::boolean:
      if (text == "true") return true;
      if (text == "false") return false;
      return std::nullopt;
    case ConfigType::integer:
      if (const auto value = parse_number<std::int64_t>(text)) return *value;
      return std::nullopt;
    case ConfigType::number:
      if (const auto value = parse_number<double>(text)) return *value;
      return std::nullopt;
    case ConfigType::text:
      return unquoted(text);
    case ConfigType::numbers: {
      auto values = std::vector<double>();
      for (const auto element : list_elements(text)) {
        const auto value = parse_number<double>(element);
        if (!value) return std::nullopt;
        values.push_back(*value);
      }
      return values;
    }
    case ConfigType::texts: {
      auto values = std::vector<std::string>();
      for (const auto element : list_elements(text)) values.push_back(unquoted(element));
      return values;
    }
  }
  return std::nullopt;
}

}  // namespace

Result<GivenValue> read_setting(const Setting& setting) {
  const auto* key = find_config_key(setting.key);
  if (!key) return unknown_key(setting.origin, setting.key);
  const auto text = trimmed(setting.value);
  if (!key->word.empty() && unquoted(text) == key->word) return GivenValue{key, key->word, setting.origin};
  auto value = parse_value(text, key->type);
  if (!value) return wrong_type(setting.origin, *key, "\"" + setting.value + "\" is not");
  return GivenValue{key, std::move(*value), setting.origin};
}

// -- Checks of one value --------------------------------------------------------------------------

Result<void> check_value(const GivenValue& given) {
  const auto& key = *given.key;
  auto numbers = std::vector<double>();
  if (const auto* integer = std::get_if<std::int64_t>(&given.value))
    numbers = {static_cast<double>(*integer)};
  if (const auto* number = std::get_if<double>(&given.value)) numbers = {*number};
  if (const auto* list = std::get_if<std::vector<double>>(&given.value)) numbers = *list;
  for (const auto number : numbers) {
    if (key.range.contains(number)) continue;
    return fail(ec::bad_config, said(given) + " is out of range: " +
                                    (key.type == ConfigType::numbers ? "each entry " : "it ") +
                                    key.range.demand_on(number));
  }
  if (const auto* word = std::get_if<std::string>(&given.value);
      word && !key.choices.empty() &&
      std::find(key.choices.begin(), key.choices.end(), *word) == key.choices.end())
    return fail(ec::bad_config, said(given) + " is not one of " + quoted_list(key.choices) +
                                    hint("is", nearest(*word, key.choices)));
  // A run keeps its settings in config.toml, which holds only what is UTF-8.
  const auto is_text = key.type == ConfigType::text || key.type == ConfigType::texts;
  if (is_text && !read_toml(key.name + " = " + to_toml(given.value), given.where))
    return fail(ec::bad_config, given.where + ": the value of " + key.name +
                                    " is not valid UTF-8; rename the file, or write the name in UTF-8");
  return {};
}

// -- The whole ------------------------------------------------------------------------------------

namespace {

void set_base(GivenValue& value, const std::filesystem::path& folder) {
  if (!value.key->path) return;
  auto& text = std::get<std::string>(value.value);
  if (!text.empty()) text = std::filesystem::absolute(folder / text).lexically_normal().string();
}

Result<Config> apply(std::vector<GivenValue> values, const std::vector<Setting>& settings) {
  for (const auto& setting : settings) {
    auto value = read_setting(setting);
    if (!value) return tl::unexpected(value.error());
    set_base(*value, {});
    values.push_back(std::move(*value));
  }
  auto last = std::vector<GivenValue>();
  for (auto& value : values) {
    if (auto ok = check_value(value); !ok) return tl::unexpected(ok.error());
    std::erase_if(last, [&](const auto& earlier) { return earlier.key == value.key; });
    last.push_back(std::move(value));
  }
  auto config = Config();
  for (const auto& value : last) value.key->set(config, value.value);
  if (auto ok = resolve(config, last); !ok) return tl::unexpected(ok.error());
  return config;
}

/// The values of a file, with its paths made absolute: they are meant from its folder on.
Result<std::vector<GivenValue>> read_values(std::string_view toml, const std::filesystem::path& file) {
  auto values = read_toml(toml, file.string());
  if (!values) return values;
  for (auto& value : *values) set_base(value, file.parent_path());
  return values;
}

Result<std::vector<GivenValue>> read_file(const std::filesystem::path& path) {
  const auto refuse = [&](const std::string& why) {
    return fail(ec::bad_config, "cannot read the configuration " + path.string() + ": " + why);
  };
  auto error = std::error_code();
  if (std::filesystem::is_directory(path, error)) return refuse("it is a folder");
  auto file = std::ifstream(path, std::ios::binary);
  if (!file) return refuse(std::strerror(errno));
  return read_values(std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()),
                     path);
}

}  // namespace

Result<Config> parse_config(std::string_view toml, const std::filesystem::path& name,
                            const std::vector<Setting>& settings) {
  auto values = read_values(toml, name);
  if (!values) return tl::unexpected(values.error());
  return apply(std::move(*values), settings);
}

Result<Config> load_config(const ConfigSources& sources) {
  auto all = std::vector<GivenValue>();
  for (const auto& file : sources.files) {
    auto values = read_file(file);
    if (!values) return tl::unexpected(values.error());
    all.insert(all.end(), std::make_move_iterator(values->begin()), std::make_move_iterator(values->end()));
  }
  return apply(std::move(all), sources.settings);
}

Config default_config() {
  auto config = Config();
  // The defaults contradict nothing.
  (void)resolve(config, {});
  return config;
}

}  // namespace fl
