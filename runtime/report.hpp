// What is said of a thing, once: for programs it is JSON as it stands, for people aligned lines and tables.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace fl {

/// Keys in the order in which they were added. Their endings say what numbers are, and how people read them:
/// "_bytes", "_s" (seconds), "accuracy" (a share in [0, 1]).
using Report = nlohmann::ordered_json;

/// Null where there is none.
template <class Value>
Report or_null(const std::optional<Value>& value) {
  return value ? Report(*value) : Report(nullptr);
}

/// An object as a line a value; a list of objects as a table, whose columns are the keys of the first. Values
/// that are null are left out of lines and are "-" in tables.
std::string report_text(const Report& report);

/// The same for programs, indented.
std::string report_json(const Report& report);

}  // namespace fl
