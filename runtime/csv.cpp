#include "runtime/csv.hpp"

#include <nlohmann/json.hpp>

namespace fl {

std::string csv_row(const std::vector<std::string>& fields) {
  auto row = std::string();
  for (auto i = std::size_t{0}; i < fields.size(); ++i) {
    if (i > 0) row += ',';
    if (fields[i].find_first_of(",\"\r\n") == std::string::npos) {
      row += fields[i];
      continue;
    }
    row += '"';
    for (const auto c : fields[i]) row += c == '"' ? std::string("\"\"") : std::string(1, c);
    row += '"';
  }
  return row + "\n";
}

Result<std::string> csv_of_json_lines(std::string_view lines) {
  auto table = std::string();
  auto keys = std::vector<std::string>();
  for (auto number = std::size_t{1}; !lines.empty(); ++number) {
    const auto end = lines.find('\n');
    if (end == std::string_view::npos) break;
    const auto object = nlohmann::ordered_json::parse(lines.substr(0, end), nullptr, false);
    lines.remove_prefix(end + 1);
    if (!object.is_object())
      return fail(ec::corrupt_data, "line " + std::to_string(number) + " is no JSON object");
    if (keys.empty()) {
      for (const auto& [key, value] : object.items()) keys.push_back(key);
      table += csv_row(keys);
    }
    auto fields = std::vector<std::string>();
    for (const auto& key : keys) {
      const auto value = object.find(key);
      const auto empty = value == object.end() || value->is_null();
      fields.push_back(empty ? "" : value->is_string() ? value->get<std::string>() : value->dump());
    }
    table += csv_row(fields);
  }
  return table;
}

}  // namespace fl
