// Values as the user gave them, read by the declared types. Between config_parse.cpp and its readers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/config_schema.hpp"

namespace fl {

/// A value for a key, and where it was given: "configs/a.toml:12", "--set run.seed=2".
struct GivenValue {
  const ConfigKey* key = nullptr;
  ConfigValue value;
  std::string where;
};

/// All values of a TOML file, in the order of its lines, types checked.
Result<std::vector<GivenValue>> read_toml(std::string_view toml, const std::string& name);

/// A value from the command line.
Result<GivenValue> read_setting(const Setting& setting);

/// Refuses values outside the key's range and choices.
Result<void> check_value(const GivenValue& given);

tl::unexpected<Error> unknown_key(const std::string& where, std::string_view name);

/// `expected` is the key's type; `found` says what is there instead.
tl::unexpected<Error> wrong_type(const std::string& where, const ConfigKey& key, const std::string& found);

/// Derives what follows from other settings, then refuses settings that contradict each other. `given`: the
/// last value of each key that was given.
Result<void> resolve(Config& config, const std::vector<GivenValue>& given);

}  // namespace fl
