#include "runtime/data_file.hpp"

#include <nlohmann/json.hpp>

#include "learning/data/samples.hpp"
#include "runtime/atomic_file.hpp"

namespace fl {

namespace {

std::filesystem::path file_in(const std::filesystem::path& folder) {
  return folder / "data.json";
}

}  // namespace

Result<std::optional<DataFile>> read_data_file(const std::filesystem::path& folder) {
  const auto file = file_in(folder);
  if (!std::filesystem::exists(file)) return std::nullopt;
  const auto text = read_whole(file);
  if (!text) return fail(ec::corrupt_data, text.error().text);
  const auto damaged = [&](const std::string& what) {
    return fail(ec::corrupt_data, file.string() + " is damaged: " + what);
  };
  try {
    const auto json = nlohmann::ordered_json::parse(*text);
    auto schema = parse_schema(json.at("schema").dump());
    if (!schema) return damaged(schema.error().text);
    auto data = DataFile{std::move(*schema), json.at("standardisation").get<Standardisation>()};
    if (!data.standardisation.empty() && data.standardisation.size() != 2 * inputs_of(data.schema))
      return damaged("the standardisation does not fit the schema");
    return data;
  } catch (const nlohmann::json::exception& error) {
    return damaged(error.what());
  }
}

Result<void> write_data_file(const std::filesystem::path& folder, const DataFile& data) {
  auto json = nlohmann::ordered_json();
  json["schema"] = nlohmann::ordered_json::parse(to_json(data.schema));
  json["standardisation"] = data.standardisation;
  return write_atomically(file_in(folder), json.dump(2) + "\n");
}

}  // namespace fl
