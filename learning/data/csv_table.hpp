// Tables with a header, as RFC 4180 has them; also with semicolons, tabs or bars between the fields.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "learning/data/samples.hpp"

namespace fl {

struct CsvRow {
  std::size_t number = 0;  ///< 1 for the first after the header, which is 0
  std::size_t line = 0;    ///< of the file, from 1, where the row ends
  std::span<const std::string> fields;
};

/// Gives the header and every row to `visit` until that says false. Rows may be shorter or longer than the
/// header. Fails with `bad_data` where the file cannot be read, or a quote stands where none may.
Result<void> read_csv(const std::filesystem::path& file, const std::function<bool(const CsvRow&)>& visit);

/// The names of the columns. Fails with `bad_data`, also where one is empty or there twice.
Result<std::vector<std::string>> csv_header(const std::filesystem::path& file);

/// Whether there is such a column, and any row says something there. Fails with `bad_data`.
Result<bool> has_csv_target(const std::filesystem::path& file, const std::string& target);

/// The number in a field, such as "-1.5e3"; none: it is none, or not finite.
std::optional<double> parse_number(std::string_view field);

/// Whether a field says that its value is not known: it is empty, or one of NA, N/A, NaN, null and ?.
bool is_missing(std::string_view field);

/// How a number that names a class is written: without a point where it is whole.
std::string category_text(std::string_view field);

/// What the columns of some tables with the same header hold together. Columns are numbers where every known
/// value is one. With `labels` the target's values are classes, sorted; else they have to be numbers.
/// `options`: target, ignore, categorical, standardise. Fails with `bad_data`.
Result<DataSchema> find_csv_schema(const std::vector<std::filesystem::path>& files,
                                   const DatasetOptions& options, bool labels);

/// Adds the file's rows. Columns are found by their names; others are passed over. A missing number is NaN,
/// of a missing category all inputs are 0. Fails with `bad_data`, naming rows, lines and columns of what does
/// not fit; with `with_target` a file needs its target column, and rows without one are wrong.
Result<void> read_csv_samples(const std::filesystem::path& file, const DataSchema& schema, bool with_target,
                              Samples& samples);

}  // namespace fl
