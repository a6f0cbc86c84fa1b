// Comma-separated values as RFC 4180 has them, for spreadsheets and data frames.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "messages/errors.hpp"

namespace fl {

/// One row with its newline; a field with a comma, a quote or a line break in it is quoted.
std::string csv_row(const std::vector<std::string>& fields);

/// Lines of JSON objects as a table: a header with the keys of the first line, then a row a line; null and
/// missing values are empty fields. A last line that is still being written is left out. Fails with
/// `corrupt_data`, which names the line that is no JSON object.
Result<std::string> csv_of_json_lines(std::string_view lines);

}  // namespace fl
