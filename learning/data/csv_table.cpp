#include "learning/data/csv_table.hpp"

#include <csv.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <system_error>
#include <unordered_map>

namespace fl {

namespace {

/// A column with more different texts is no category but a name or a note.
constexpr std::size_t kMaxCategories = 256;
constexpr std::size_t kMaxClassNames = 10'000;
/// Above this a double no longer tells whole numbers apart.
constexpr double kMaxWhole = 9.0e15;

tl::unexpected<Error> bad_table(const std::filesystem::path& file, const std::string& what) {
  return fail(ec::bad_data, file.string() + " " + what);
}

/// libcsv's parser with the row that it is in.
class CsvParser {
 public:
  /// Behind so many lines that were blank.
  CsvParser(char delimiter, std::size_t blank, const std::function<bool(const CsvRow&)>& visit)
      : visit_(visit), line_(blank) {
    csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI);
    csv_set_delim(&parser_, static_cast<unsigned char>(delimiter));
  }
  ~CsvParser() { csv_free(&parser_); }
  CsvParser(const CsvParser&) = delete;
  CsvParser& operator=(const CsvParser&) = delete;

  /// One line of the file with its end.
  bool parse(std::string_view text) {
    ++line_;
    return csv_parse(&parser_, text.data(), text.size(), on_field, on_row, this) == text.size();
  }
  bool finish() { return csv_fini(&parser_, on_field, on_row, this) == 0; }

  bool wants_more() const { return wants_more_; }
  bool has_header() const { return rows_ > 0; }
  std::string error() const {
    return "cannot be read at line " + std::to_string(line_) + ": " + csv_strerror(csv_error(&parser_)) +
           " (a quote in a field has to be doubled, and the field quoted)";
  }

 private:
  static void on_field(void* text, std::size_t length, void* self) {
    static_cast<CsvParser*>(self)->fields_.emplace_back(static_cast<const char*>(text), length);
  }
  static void on_row(int, void* self) {
    auto& parser = *static_cast<CsvParser*>(self);
    if (parser.wants_more_) parser.wants_more_ = parser.visit_({parser.rows_, parser.line_, parser.fields_});
    ++parser.rows_;
    parser.fields_.clear();
  }

  const std::function<bool(const CsvRow&)>& visit_;
  mutable csv_parser parser_{};
  std::vector<std::string> fields_;
  std::size_t rows_ = 0;
  std::size_t line_ = 0;
  bool wants_more_ = true;
};

/// What stands most often in the header.
char delimiter_in(std::string_view header) {
  auto best = ',';
  for (const auto one : {';', '\t', '|'})
    if (std::ranges::count(header, one) > std::ranges::count(header, best)) best = one;
  return best;
}

std::string place(const CsvRow& row) {
  return "row " + std::to_string(row.number) + " (line " + std::to_string(row.line) + ")";
}

std::string place(const CsvRow& row, const std::string& column) {
  return place(row) + ", column \"" + column + "\"";
}

std::optional<std::size_t> find_column(const std::vector<std::string>& header, const std::string& name) {
  const auto found = std::ranges::find(header, name);
  if (found == header.end()) return std::nullopt;
  return static_cast<std::size_t>(found - header.begin());
}

tl::unexpected<Error> no_column(const std::filesystem::path& file, const std::string& name,
                                const std::vector<std::string>& header, const std::string& advice) {
  return bad_table(file, "has no column \"" + name + "\"; its columns are " + in_quotes(header) + advice);
}

/// What was seen of one column.
struct ColumnFacts {
  bool numbers = true;
  bool too_many = false;
  std::set<std::string> values;

  void look_at(const std::string& field, std::size_t limit) {
    if (is_missing(field)) return;
    numbers = numbers && parse_number(field);
    if (too_many) return;
    values.insert(field);
    too_many = values.size() > limit;
  }
};

/// "1" and "1.0" are the same class.
std::set<std::string> as_numbers(const std::set<std::string>& values) {
  auto written = std::set<std::string>();
  for (const auto& value : values) written.insert(category_text(value));
  return written;
}

/// Numbers in their order, texts behind them in theirs.
std::vector<std::string> in_order(const std::set<std::string>& values) {
  auto names = std::vector<std::string>(values.begin(), values.end());
  std::ranges::stable_sort(names, [](const auto& a, const auto& b) {
    const auto x = parse_number(a);
    const auto y = parse_number(b);
    if (x && y) return *x < *y;
    return x.has_value() && !y.has_value();
  });
  return names;
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

Result<void> read_csv(const std::filesystem::path& file, const std::function<bool(const CsvRow&)>& visit) {
  auto error = std::error_code();
  if (std::filesystem::is_directory(file, error)) return bad_table(file, "is a folder, expected a table");
  errno = 0;
  auto input = std::ifstream(file, std::ios::binary);
  if (!input) return bad_table(file, "cannot be opened: " + std::generic_category().message(errno));
  auto line = std::string();
  auto parser = std::optional<CsvParser>();
  for (auto number = std::size_t{1}; std::getline(input, line); ++number) {
    if (!is_utf8(line))
      return bad_table(file, "is not UTF-8 at line " + std::to_string(number) + "; save it as \"CSV UTF-8\"");
    if (!parser) {
      if (line.starts_with("\xef\xbb\xbf")) line.erase(0, 3);  // a byte order mark
      if (line.find_first_not_of("\r ") == std::string::npos) continue;
      parser.emplace(delimiter_in(line), number - 1, visit);
    }
    line += '\n';
    if (!parser->parse(line)) return bad_table(file, parser->error());
    if (!parser->wants_more()) return {};
  }
  if (input.bad()) return bad_table(file, "cannot be read to its end");
  if (parser && !parser->finish()) return bad_table(file, parser->error());
  if (!parser || !parser->has_header())
    return bad_table(file, "is empty; its first line has to name the columns");
  return {};
}

Result<std::vector<std::string>> csv_header(const std::filesystem::path& file) {
  auto header = std::vector<std::string>();
  auto read = read_csv(file, [&](const CsvRow& row) {
    header.assign(row.fields.begin(), row.fields.end());
    return false;
  });
  if (!read) return tl::unexpected(read.error());
  auto seen = std::set<std::string>();
  for (const auto& name : header) {
    if (name.empty()) return bad_table(file, "has a column without a name in its first line, the header");
    if (!seen.insert(name).second) return bad_table(file, "has the column \"" + name + "\" twice");
  }
  return header;
}

Result<bool> has_csv_target(const std::filesystem::path& file, const std::string& target) {
  const auto header = csv_header(file);
  if (!header) return tl::unexpected(header.error());
  const auto column = find_column(*header, target);
  if (!column) return false;
  auto said = false;
  auto read = read_csv(file, [&](const CsvRow& row) {
    said = row.number > 0 && *column < row.fields.size() && !is_missing(row.fields[*column]);
    return !said;
  });
  if (!read) return tl::unexpected(read.error());
  return said;
}

std::optional<double> parse_number(std::string_view field) {
  if (field.starts_with('+')) field.remove_prefix(1);
  auto value = 0.0;
  const auto* end = field.data() + field.size();
  const auto [stopped, error] = std::from_chars(field.data(), end, value);
  if (error != std::errc() || stopped != end || field.empty() || !std::isfinite(value)) return std::nullopt;
  return value;
}

bool is_missing(std::string_view field) {
  constexpr std::array<std::string_view, 5> kNames = {"na", "n/a", "nan", "null", "?"};
  const auto same = [field](std::string_view name) {
    return std::ranges::equal(field, name,
                              [](unsigned char a, unsigned char b) { return std::tolower(a) == b; });
  };
  return field.empty() || std::ranges::any_of(kNames, same);
}

std::string category_text(std::string_view field) {
  const auto number = parse_number(field);
  if (number && std::abs(*number) < kMaxWhole && *number == std::trunc(*number))
    return std::to_string(static_cast<long long>(*number));
  return std::string(field);
}

Result<DataSchema> find_csv_schema(const std::vector<std::filesystem::path>& files,
                                   const DatasetOptions& options, bool labels) {
  auto schema = DataSchema();
  schema.kind = "csv";
  schema.standardise = options.standardise;
  auto names = std::vector<std::string>();
  auto facts = std::vector<ColumnFacts>();
  for (const auto& file : files) {
    const auto header = csv_header(file);
    if (!header) return tl::unexpected(header.error());
    if (names.empty()) {
      names = *header;
      facts.resize(names.size());
      schema.target = options.target.empty() ? names.back() : options.target;
      if (!find_column(names, schema.target))
        return no_column(file, schema.target, names, "; set data.target to the one that is predicted");
      for (const auto* list : {&options.ignore, &options.categorical})
        for (const auto& name : *list)
          if (!find_column(names, name))
            return no_column(
                file, name, names,
                std::string("; correct ") + (list == &options.ignore ? "data.ignore" : "data.categorical"));
    }
    auto places = std::vector<std::size_t>();
    for (const auto& name : names) {
      const auto column = find_column(*header, name);
      if (!column) return no_column(file, name, *header, "; " + files.front().string() + " has it");
      places.push_back(*column);
    }
    auto read = read_csv(file, [&](const CsvRow& row) {
      if (row.number == 0 || row.fields.size() != header->size()) return true;  // said when it is loaded
      for (auto i = std::size_t{0}; i < names.size(); ++i)
        facts[i].look_at(row.fields[places[i]], names[i] == schema.target ? kMaxClassNames : kMaxCategories);
      return true;
    });
    if (!read) return tl::unexpected(read.error());
  }
  auto inputs = std::int64_t{0};
  for (auto i = std::size_t{0}; i < names.size(); ++i) {
    const auto& name = names[i];
    const auto& seen = facts[i];
    if (name == schema.target) {
      if (!labels) continue;
      if (seen.too_many)
        return bad_table(files.front(), "has more than " + std::to_string(kMaxClassNames) +
                                            " different values in its target \"" + name +
                                            "\"; to predict numbers set train.loss to \"mse\" or \"huber\"");
      schema.classes = in_order(seen.numbers ? as_numbers(seen.values) : seen.values);
      if (schema.classes.size() < 2)
        return bad_table(files.front(), "has fewer than two different values in its target \"" + name + "\"");
      continue;
    }
    if (has(options.ignore, name)) continue;
    auto column = InputColumn{name};
    if (!seen.numbers || has(options.categorical, name)) {
      if (seen.too_many)
        return bad_table(files.front(), "has more than " + std::to_string(kMaxCategories) +
                                            " different values in the column \"" + name +
                                            "\", and not all are numbers; leave it out with data.ignore");
      column.categories = in_order(seen.values);
      if (column.categories.empty()) continue;  // nobody knows a value
    }
    inputs += static_cast<std::int64_t>(column.inputs());
    schema.columns.push_back(std::move(column));
  }
  if (inputs == 0)
    return bad_table(files.front(), "has no column left to predict \"" + schema.target + "\" from");
  schema.shape = {inputs};
  return schema;
}

namespace {

/// Turns the fields of one row into a sample.
class RowReader {
 public:
  RowReader(const DataSchema& schema, Samples& samples, Problems& problems)
      : schema_(schema), samples_(samples), problems_(problems) {
    for (const auto& name : schema.classes) classes_.emplace(name, std::int64_t(classes_.size()));
  }

  /// Where the columns are in this file; the target may be absent.
  std::vector<std::size_t> columns;
  std::optional<std::size_t> target;

  void read(const CsvRow& row, std::size_t width) {
    if (row.fields.size() != width) {
      problems_.add(place(row) + " has " + std::to_string(row.fields.size()) + " fields, and the header " +
                    std::to_string(width));
      return;
    }
    for (auto i = std::size_t{0}; i < columns.size(); ++i)
      add_input(row, schema_.columns[i], row.fields[columns[i]]);
    if (target) add_target(row, row.fields[*target]);
  }

 private:
  void add_input(const CsvRow& row, const InputColumn& column, const std::string& field) {
    if (column.is_number()) {
      add_number(row, column.name, field);
      return;
    }
    auto found = std::ranges::find(column.categories, field);
    if (found == column.categories.end())  // "1" may be written "1.0" elsewhere
      found = std::ranges::find(column.categories, category_text(field));
    if (found == column.categories.end() && !is_missing(field))
      problems_.add(place(row, column.name) + ": \"" + field + "\" is none of its categories " +
                    in_quotes(column.categories));
    for (auto category = column.categories.begin(); category != column.categories.end(); ++category)
      samples_.features.push_back(category == found ? 1.0F : 0.0F);
  }

  void add_number(const CsvRow& row, const std::string& column, const std::string& field) {
    auto value = std::numeric_limits<float>::quiet_NaN();
    if (is_missing(field)) {
      if (!schema_.standardise)
        problems_.add(place(row, column) +
                      ": the value is missing; with data.standardise = true it would count as the mean");
    } else {
      value = number_in(row, column, field).value_or(value);
    }
    samples_.features.push_back(value);
  }

  std::optional<float> number_in(const CsvRow& row, const std::string& column, const std::string& field) {
    const auto number = parse_number(field);
    if (!number) {
      const auto comma = field.find(',') != std::string::npos;
      problems_.add(place(row, column) + ": \"" + field + "\" is no number" +
                    (comma ? " (decimals are written with a point)" : ""));
      return std::nullopt;
    }
    const auto value = static_cast<float>(*number);
    if (std::isfinite(value)) return value;
    problems_.add(place(row, column) + ": " + field + " is too large for 32 bits");
    return std::nullopt;
  }

  void add_target(const CsvRow& row, const std::string& field) {
    auto label = classes_.find(field);
    if (label == classes_.end() && is_missing(field)) {
      problems_.add(place(row, schema_.target) + ": the target is missing");
      return;
    }
    if (!schema_.has_labels()) {
      if (const auto number = number_in(row, schema_.target, field)) samples_.targets.push_back(*number);
      return;
    }
    if (label == classes_.end()) label = classes_.find(category_text(field));
    if (label != classes_.end())
      samples_.labels.push_back(label->second);
    else
      problems_.add(place(row, schema_.target) + ": \"" + field + "\" is none of the classes " +
                    in_quotes(schema_.classes));
  }

  const DataSchema& schema_;
  Samples& samples_;
  Problems& problems_;
  std::unordered_map<std::string, std::int64_t> classes_;  ///< and their labels
};

}  // namespace

Result<void> read_csv_samples(const std::filesystem::path& file, const DataSchema& schema, bool with_target,
                              Samples& samples) {
  const auto header = csv_header(file);
  if (!header) return tl::unexpected(header.error());
  auto problems = Problems();
  auto reader = RowReader(schema, samples, problems);
  for (const auto& column : schema.columns) {
    const auto found = find_column(*header, column.name);
    if (!found) return no_column(file, column.name, *header, ", and the federation's data schema needs it");
    reader.columns.push_back(*found);
  }
  reader.target = find_column(*header, schema.target);
  if (with_target && !reader.target)
    return no_column(file, schema.target, *header, ", and the federation predicts it");
  if (!with_target) reader.target.reset();
  auto rows = std::size_t{0};
  auto read = read_csv(file, [&](const CsvRow& row) {
    if (row.number == 0) return true;
    ++rows;
    reader.read(row, header->size());
    return true;
  });
  if (!read) return read;
  if (rows == 0) problems.add("it has a header and no rows");
  if (!problems.empty()) return problems.in(file);
  return {};
}

}  // namespace fl
