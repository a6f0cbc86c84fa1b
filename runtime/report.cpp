#include "runtime/report.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "runtime/quantities.hpp"

namespace fl {

namespace {

bool is_table(const Report& value) {
  return value.is_array() && !value.empty() && value.front().is_object();
}

/// "best_accuracy" is labelled "best accuracy", "size_bytes" "size".
std::string label_of(std::string_view key) {
  for (const auto* unit : {"_bytes", "_s"})
    if (key.ends_with(unit)) key.remove_suffix(std::string_view(unit).size());
  auto label = std::string(key);
  std::ranges::replace(label, '_', ' ');
  return label;
}

std::string number_text(std::string_view key, const Report& value) {
  if (key.ends_with("_bytes")) return bytes_text(value.get<std::uint64_t>());
  if (key.ends_with("_s")) return duration_text(value.get<double>());
  if (key.ends_with("accuracy")) return percent_text(value.get<double>());
  return value.is_number_float() ? fmt::format("{:.4g}", value.get<double>()) : value.dump();
}

std::string value_text(std::string_view key, const Report& value) {
  if (value.is_number()) return number_text(key, value);
  if (value.is_string()) return printable(value.get<std::string>());
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  auto parts = std::vector<std::string>();
  if (value.is_array())
    for (const auto& element : value) parts.push_back(value_text(key, element));
  if (value.is_object())
    for (const auto& [name, element] : value.items())
      parts.push_back(printable(name) + " " + value_text(name, element));
  return parts.empty() ? "-" : fmt::format("{}", fmt::join(parts, value.is_array() ? "," : ", "));
}

std::string padding(std::size_t columns, const std::string& text) {
  return std::string(columns - std::min(columns, columns_of(text)), ' ');
}

/// Numbers to the right, everything else to the left.
std::string table_text(const Report& rows) {
  struct Column {
    std::vector<std::string> cells;
    std::size_t width = 0;
    bool numeric = true;
  };
  auto columns = std::vector<Column>();
  for (const auto& [key, value] : rows.front().items()) {
    auto& column = columns.emplace_back();
    column.cells.push_back(label_of(key));
    for (const auto& row : rows) {
      const auto cell = row.find(key);
      const auto missing = cell == row.end() || cell->is_null();
      column.numeric = column.numeric && (missing || cell->is_number());
      column.cells.push_back(missing ? "-" : value_text(key, *cell));
    }
    for (const auto& cell : column.cells) column.width = std::max(column.width, columns_of(cell));
  }
  auto text = std::string();
  for (std::size_t row = 0; row <= rows.size(); ++row) {
    auto line = std::string();
    for (const auto& column : columns) {
      const auto& cell = column.cells[row];
      const auto fill = padding(column.width, cell);
      line += (line.empty() ? "" : "  ") + (column.numeric ? fill + cell : cell + fill);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string lines_text(const Report& object) {
  auto width = std::size_t{0};
  for (const auto& [key, value] : object.items())
    if (!value.is_null() && !is_table(value)) width = std::max(width, columns_of(label_of(key)));
  auto text = std::string();
  for (const auto& [key, value] : object.items()) {
    if (value.is_null()) continue;
    const auto label = label_of(key);
    if (is_table(value))
      text += "\n" + label + "\n" + table_text(value);
    else
      text += label + padding(width, label) + "  " + value_text(key, value) + "\n";
  }
  return text;
}

}  // namespace

std::string report_text(const Report& report) {
  return is_table(report) ? table_text(report) : lines_text(report);
}

std::string report_json(const Report& report) {
  return report.dump(2, ' ', false, Report::error_handler_t::replace) + "\n";
}

}  // namespace fl
