#include "runtime/data_command.hpp"

#include <spdlog/fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <cmath>
#include <cstdio>
#include <limits>

#include "learning/data/own_data.hpp"
#include "runtime/atomic_file.hpp"

namespace fl {

namespace {

/// Of a table; arrays and images have too many inputs to be worth a line each.
constexpr std::size_t kMaxInputLines = 100;

struct InputFacts {
  std::size_t known = 0;
  double mean = 0;
  double squares = 0;  ///< Σ (x − mean)²
  double least = std::numeric_limits<double>::infinity();
  double most = -std::numeric_limits<double>::infinity();

  void add(double value) {
    if (std::isnan(value)) return;
    ++known;
    const auto difference = value - mean;
    mean += difference / static_cast<double>(known);
    squares += difference * (value - mean);
    least = std::min(least, value);
    most = std::max(most, value);
  }
};

void describe_inputs(const DataSchema& schema, const Dataset& data) {
  const auto names = input_names(schema);
  if (names.empty() || names.size() > kMaxInputLines) return;
  auto facts = std::vector<InputFacts>(names.size());
  auto sample = std::vector<float>(names.size());
  for (auto row = std::uint32_t{0}; row < data.size(); ++row) {
    data.gather_features(std::span(&row, 1), sample);
    for (auto i = std::size_t{0}; i < names.size(); ++i) facts[i].add(sample[i]);
  }
  fmt::print("\n{:<32} {:>8} {:>12} {:>12} {:>12} {:>12}\n", "input", "missing", "mean", "deviation", "least",
             "most");
  for (auto i = std::size_t{0}; i < names.size(); ++i) {
    const auto& of = facts[i];
    const auto deviation = of.known > 0 ? std::sqrt(of.squares / static_cast<double>(of.known)) : 0.0;
    fmt::print("{:<32} {:>8} {:>12.5g} {:>12.5g} {:>12.5g} {:>12.5g}\n", names[i], data.size() - of.known,
               of.mean, deviation, of.least, of.most);
  }
}

void describe(const DataSchema& schema, const TrainTest& data, const std::filesystem::path& file) {
  fmt::print("{}: {} samples, {} inputs, {}\n", file.string(), data.train->size(), inputs_of(schema),
             schema.has_labels() ? fmt::format("{} classes", schema.class_count()) : "a number to predict");
  if (!schema.target.empty()) fmt::print("target: {}\n", schema.target);
  if (data.owners.size() > 1) {
    auto sizes = std::vector<std::size_t>();
    for (const auto& rows : data.owners) sizes.push_back(rows.size());
    fmt::print("clients: {} files with {} samples\n", sizes.size(), fmt::join(sizes, ", "));
  }
  if (schema.has_labels()) {
    const auto counts = DataView::all(data.train).label_histogram();
    auto text = std::vector<std::string>();
    for (auto i = std::size_t{0}; i < counts.size(); ++i)
      if (counts[i] > 0) text.push_back(fmt::format("{:?} {}", schema.classes[i], counts[i]));
    fmt::print("labels: {}\n", fmt::join(text, ", "));
  }
  describe_inputs(schema, *data.train);
}

Result<void> carry_out(const Config& config, const std::optional<std::filesystem::path>& schema_file) {
  if (!is_own_data(config.data.name))
    return fail(ec::bad_config, "data.name = \"" + config.data.name +
                                    "\" is no data of your own; give --set data.name=csv (npz, images, idx, "
                                    "text) and --set data.file=FILE");
  const auto schema = find_schema(config.data, is_classification(config.trainer.loss));
  if (!schema) return tl::unexpected(schema.error());
  auto request = OwnDataRequest();
  request.test = false;
  request.clients = 1;
  const auto data = load_own_data(config.data, *schema, request);
  if (!data) return tl::unexpected(data.error());
  describe(*schema, *data, config.data.file);
  if (!schema_file) return {};
  if (auto ok = write_atomically(*schema_file, to_json(*schema)); !ok) return ok;
  fmt::print("\nwritten to {}: what the aggregator's data.schema needs\n", schema_file->string());
  return {};
}

}  // namespace

ExitCode check_data(const Config& config, const std::optional<std::filesystem::path>& schema_file) {
  const auto done = carry_out(config, schema_file);
  if (done) return ExitCode::done;
  spdlog::error("{}", done.error().text);
  const auto disk = done.error().code == ec::io_failed || done.error().code == ec::store_full;
  return disk ? ExitCode::failed : ExitCode::refused;
}

}  // namespace fl
