// What a federation's own data have to look like, so that every client's samples are the same inputs in the
// same order. The aggregator says it in the welcome; a client checks its data against it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "messages/errors.hpp"

namespace fl {

/// A column of a table: a number, or one of some categories.
struct InputColumn {
  std::string name;
  std::vector<std::string> categories = {};  ///< each an input of its own, 1 where it holds; empty: a number

  bool is_number() const { return categories.empty(); }
  std::size_t inputs() const { return is_number() ? 1 : categories.size(); }
  bool operator==(const InputColumn&) const = default;
};

struct DataSchema {
  std::string kind;                  ///< "csv" | "npz" | "images" | "idx" | "text": data.name
  std::vector<InputColumn> columns;  ///< of a csv, in the order of the inputs
  std::string target;                ///< of a csv: the column that is predicted
  std::vector<std::int64_t> shape;   ///< of a sample; of a csv: {inputs}
  std::vector<std::string> classes;  ///< what the labels 0, 1, … mean; empty: the targets are numbers
  bool pixels = false;               ///< the values are bytes b, given out as (b / 255 − 0.5) / 0.5
  bool standardise = false;          ///< numbers are brought to mean 0 and deviation 1: standardisation.hpp

  std::uint32_t class_count() const { return static_cast<std::uint32_t>(classes.size()); }
  bool has_labels() const { return !classes.empty(); }
  bool operator==(const DataSchema&) const = default;
};

using SchemaPtr = std::shared_ptr<const DataSchema>;

/// Whether what it says goes together; else `bad_data`.
Result<void> check_schema(const DataSchema& schema);

/// Inputs of one sample: the product of the shape.
std::size_t inputs_of(const DataSchema& schema);

/// The name of each input of a csv: the column's, or "column=category".
std::vector<std::string> input_names(const DataSchema& schema);

/// A JSON object, for people to read and change: {"kind", "target", "columns": [{"name", "categories"}],
/// "shape", "classes", "pixels", "standardise"}, without what does not apply.
std::string to_json(const DataSchema& schema);

/// Fails with `bad_data`, naming the member that is missing or wrong.
Result<DataSchema> parse_schema(std::string_view json);

}  // namespace fl
