// How a member of Config becomes a key: its type says how it is read, written and bounded. For the table's
// files only.
#pragma once

#include <chrono>
#include <cmath>
#include <concepts>
#include <filesystem>
#include <limits>
#include <type_traits>

#include "runtime/config_schema.hpp"

// Gives a key access to config.MEMBER, whether the configuration is const or not.
#define FL_CONFIG_MEMBER(MEMBER) \
  [](auto& config) -> auto& {    \
    return config.MEMBER;        \
  }

namespace fl::config_binding {

template <class Field>
struct Convert;

template <>
struct Convert<bool> {
  static constexpr auto type = ConfigType::boolean;
  static ConfigValue read(bool field) { return field; }
  static void write(bool& field, const ConfigValue& value) { field = std::get<bool>(value); }
};

template <std::unsigned_integral Field>
struct Convert<Field> {
  static constexpr auto type = ConfigType::integer;
  static Range limits() {
    constexpr auto most = std::numeric_limits<Field>::max();
    // TOML integers are signed.
    constexpr auto toml_most = std::numeric_limits<std::int64_t>::max();
    return between(0, static_cast<double>(std::cmp_less(most, toml_most) ? most : Field(toml_most)));
  }
  static ConfigValue read(Field field) { return static_cast<std::int64_t>(field); }
  static void write(Field& field, const ConfigValue& value) {
    field = static_cast<Field>(std::get<std::int64_t>(value));
  }
};

template <>
struct Convert<double> {
  static constexpr auto type = ConfigType::number;
  static ConfigValue read(double field) { return field; }
  static void write(double& field, const ConfigValue& value) { field = std::get<double>(value); }
};

template <>
struct Convert<std::string> {
  static constexpr auto type = ConfigType::text;
  static ConfigValue read(const std::string& field) { return field; }
  static void write(std::string& field, const ConfigValue& value) { field = std::get<std::string>(value); }
};

template <>
struct Convert<std::filesystem::path> {
  static constexpr auto type = ConfigType::text;
  static ConfigValue read(const std::filesystem::path& field) { return field.string(); }
  static void write(std::filesystem::path& field, const ConfigValue& value) {
    field = std::get<std::string>(value);
  }
};

/// Durations are seconds in the file.
template <>
struct Convert<Seconds> {
  static constexpr auto type = ConfigType::number;
  static ConfigValue read(Seconds field) { return field.count(); }
  static void write(Seconds& field, const ConfigValue& value) { field = Seconds(std::get<double>(value)); }
};

template <>
struct Convert<std::chrono::milliseconds> {
  static constexpr auto type = ConfigType::number;
  static ConfigValue read(std::chrono::milliseconds field) { return Seconds(field).count(); }
  static void write(std::chrono::milliseconds& field, const ConfigValue& value) {
    field = std::chrono::round<std::chrono::milliseconds>(Seconds(std::get<double>(value)));
  }
};

template <>
struct Convert<std::vector<double>> {
  static constexpr auto type = ConfigType::numbers;
  static ConfigValue read(const std::vector<double>& field) { return field; }
  static void write(std::vector<double>& field, const ConfigValue& value) {
    field = std::get<std::vector<double>>(value);
  }
};

template <>
struct Convert<std::vector<std::string>> {
  static constexpr auto type = ConfigType::texts;
  static ConfigValue read(const std::vector<std::string>& field) { return field; }
  static void write(std::vector<std::string>& field, const ConfigValue& value) {
    field = std::get<std::vector<std::string>>(value);
  }
};

/// A named choice, written by its name. The table lists exactly the names that `parse` knows.
template <class Choice, Result<Choice> (*parse)(const std::string&)>
struct ConvertChoice {
  static constexpr auto type = ConfigType::text;
  static ConfigValue read(Choice field) { return fl::to_string(field); }
  static void write(Choice& field, const ConfigValue& value) {
    field = parse(std::get<std::string>(value)).value();
  }
};

template <>
struct Convert<StrategyName> : ConvertChoice<StrategyName, parse_strategy> {};
template <>
struct Convert<LossName> : ConvertChoice<LossName, parse_loss> {};
template <>
struct Convert<ServerOptimizerName> : ConvertChoice<ServerOptimizerName, parse_server_optimizer> {};

template <>
struct Convert<StalenessFunction> {
  static constexpr auto type = ConfigType::text;
  static ConfigValue read(StalenessFunction field) {
    for (const auto* name : {"constant", "polynomial", "hinge", "exponential"}) {
      if (parse_staleness(name) == field) return std::string(name);
    }
    return std::string("unknown");
  }
  static void write(StalenessFunction& field, const ConfigValue& value) {
    field = parse_staleness(std::get<std::string>(value)).value();
  }
};

/// The key `name` for the member that `access` returns; the default is what the member begins with.
template <class Access>
ConfigKey key(std::string name, Access access) {
  using Field = std::remove_cvref_t<decltype(access(std::declval<Config&>()))>;
  auto result = ConfigKey();
  result.name = std::move(name);
  result.type = Convert<Field>::type;
  if constexpr (std::unsigned_integral<Field> && !std::same_as<Field, bool>)
    result.range = Convert<Field>::limits();
  result.get = [access](const Config& config) { return Convert<Field>::read(access(config)); };
  result.set = [access](Config& config, const ConfigValue& value) {
    Convert<Field>::write(access(config), value);
  };
  return result;
}

/// An integer that can also be left to the program, which `word` says: `chosen` is whether it is.
template <class Access, class Chosen>
ConfigKey key_or_word(std::string name, Access access, std::string word, Chosen chosen) {
  auto result = key(std::move(name), access).or_word(word);
  result.get = [get = result.get, chosen, word](const Config& config) -> ConfigValue {
    return chosen(config) ? ConfigValue(word) : get(config);
  };
  result.set = [set = result.set, chosen](Config& config, const ConfigValue& value) {
    chosen(config) = std::holds_alternative<std::string>(value);
    if (!chosen(config)) set(config, value);
  };
  return result;
}

/// A number whose default follows from other keys, as `note` says: `given` is what the user said, `used` the
/// value in use.
template <class Given, class Used>
ConfigKey following_key(std::string name, Given given, Used used, std::string note) {
  auto result = ConfigKey();
  result.name = std::move(name);
  result.type = ConfigType::number;
  result.default_note = std::move(note);
  result.get = [used](const Config& config) -> ConfigValue { return used(config); };
  result.set = [given](Config& config, const ConfigValue& value) { given(config) = std::get<double>(value); };
  result.given = [given](const Config& config) { return given(config).has_value(); };
  return result;
}

}  // namespace fl::config_binding
