#include "learning/data/schema.hpp"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "learning/data/text_file.hpp"

namespace fl {

namespace {

using Json = nlohmann::ordered_json;

/// Bounds what a schema from elsewhere can ask for.
constexpr std::int64_t kMaxInputs = std::int64_t{1} << 28;

tl::unexpected<Error> bad_schema(const std::string& what) {
  return fail(ec::bad_data, "the data schema " + what);
}

bool has_duplicates(const std::vector<std::string>& names) {
  return std::set<std::string>(names.begin(), names.end()).size() < names.size();
}

bool are_images(const DataSchema& schema) {
  const auto& shape = schema.shape;
  const auto channels_fit =
      shape.size() == 3 && (shape[0] == 1 || (shape[0] == 3 && schema.kind == "images"));
  return channels_fit && schema.pixels && schema.has_labels();
}

}  // namespace

Result<void> check_schema(const DataSchema& schema) {
  const auto kinds = {"csv", "npz", "images", "idx", "text"};
  if (std::ranges::find(kinds, schema.kind) == kinds.end())
    return bad_schema("has the kind \"" + schema.kind + "\", expected csv, npz, images, idx or text");
  auto names = std::vector<std::string>{schema.target};
  for (const auto& column : schema.columns) {
    names.push_back(column.name);
    if (has_duplicates(column.categories))
      return bad_schema("has a category twice in the column \"" + column.name + "\"");
  }
  if (schema.kind == "csv") {
    if (schema.target.empty()) return bad_schema("has no \"target\", the column that is predicted");
    if (schema.columns.empty()) return bad_schema("has no \"columns\" to predict the target from");
    if (has_duplicates(names)) return bad_schema("has the same column twice");
  }
  auto inputs = std::int64_t{1};
  for (const auto extent : schema.shape) {
    if (extent < 1 || extent > kMaxInputs / inputs) return bad_schema("has a \"shape\" of no use");
    inputs *= extent;
  }
  if (schema.shape.empty()) return bad_schema("has no \"shape\"");
  if (schema.classes.size() == 1) return bad_schema("has one class only, and nothing to tell apart");
  if (has_duplicates(schema.classes)) return bad_schema("has a class twice");
  if (schema.pixels && !schema.has_labels()) return bad_schema("has pixels, and no classes to tell apart");
  if ((schema.kind == "images" || schema.kind == "idx") && !are_images(schema))
    return bad_schema("of " + schema.kind +
                      " needs \"shape\": [1 or 3 channels (idx: 1), height, width], \"pixels\": true and "
                      "\"classes\"");
  if (schema.kind == "text" && (schema.shape.size() != 1 || schema.classes != text_characters()))
    return bad_schema(
        "of a text needs \"shape\": [characters] and the 98 characters that all texts have as "
        "\"classes\"");
  return {};
}

std::size_t inputs_of(const DataSchema& schema) {
  return static_cast<std::size_t>(
      std::accumulate(schema.shape.begin(), schema.shape.end(), std::int64_t{1}, std::multiplies<>()));
}

std::vector<std::string> input_names(const DataSchema& schema) {
  auto names = std::vector<std::string>();
  for (const auto& column : schema.columns) {
    if (column.is_number()) names.push_back(column.name);
    for (const auto& category : column.categories) names.push_back(column.name + "=" + category);
  }
  return names;
}

std::string to_json(const DataSchema& schema) {
  auto json = Json{{"kind", schema.kind}};
  if (schema.kind == "csv") {
    json["target"] = schema.target;
    json["columns"] = Json::array();
    for (const auto& column : schema.columns) {
      auto entry = Json{{"name", column.name}};
      if (!column.is_number()) entry["categories"] = column.categories;
      json["columns"].push_back(std::move(entry));
    }
  } else {
    json["shape"] = schema.shape;
  }
  if (schema.has_labels()) json["classes"] = schema.classes;
  if (schema.pixels) json["pixels"] = true;
  json["standardise"] = schema.standardise;
  return json.dump(2) + "\n";
}

Result<DataSchema> parse_schema(std::string_view text) {
  auto schema = DataSchema();
  try {
    const auto json = Json::parse(text);
    schema.kind = json.at("kind").get<std::string>();
    schema.classes = json.value("classes", schema.classes);
    schema.pixels = json.value("pixels", false);
    schema.standardise = json.value("standardise", false);
    if (schema.kind == "csv") {
      schema.target = json.at("target").get<std::string>();
      auto inputs = std::size_t{0};
      for (const auto& entry : json.at("columns")) {
        auto column = InputColumn{entry.at("name").get<std::string>()};
        column.categories = entry.value("categories", column.categories);
        inputs += column.inputs();
        schema.columns.push_back(std::move(column));
      }
      schema.shape = {static_cast<std::int64_t>(inputs)};
    } else {
      schema.shape = json.at("shape").get<std::vector<std::int64_t>>();
    }
  } catch (const nlohmann::json::exception& error) {
    return bad_schema("cannot be read: " + std::string(error.what()));
  }
  if (auto ok = check_schema(schema); !ok) return tl::unexpected(ok.error());
  return schema;
}

}  // namespace fl
