#include "learning/data/own_data.hpp"

#include <algorithm>

#include "learning/data/csv_table.hpp"
#include "learning/data/idx.hpp"
#include "learning/data/image_folder.hpp"
#include "learning/data/npz.hpp"
#include "learning/data/partition.hpp"
#include "learning/data/text_file.hpp"
#include "learning/random.hpp"

namespace fl {

namespace {

namespace fs = std::filesystem;

/// Kinds whose files are a client's each where there is a folder of them.
std::string ending_of(const std::string& kind) {
  if (kind == "csv") return ".csv";
  if (kind == "npz") return ".npz";
  if (kind == "text") return ".txt";
  return {};
}

/// The files that `path` means: itself, or all of a folder, sorted by name.
Result<std::vector<fs::path>> files_of(const fs::path& path, const std::string& kind) {
  auto error = std::error_code();
  const auto status = fs::status(path, error);
  if (!fs::exists(status)) return fail(ec::bad_data, path.string() + " does not exist");
  const auto ending = ending_of(kind);
  if (!fs::is_directory(status)) {
    if (ending.empty()) return fail(ec::bad_data, path.string() + " is no folder, which " + kind + " needs");
    return std::vector{path};
  }
  if (ending.empty()) return std::vector{path};
  auto files = std::vector<fs::path>();
  for (const auto& entry : fs::directory_iterator(path, error))
    if (auto unknown = std::error_code();
        entry.is_regular_file(unknown) && entry.path().extension() == ending)
      files.push_back(entry.path());
  if (error) return fail(ec::bad_data, path.string() + " cannot be read: " + error.message());
  if (files.empty()) return fail(ec::bad_data, path.string() + " has no file that ends with " + ending);
  std::ranges::sort(files);
  return files;
}

Result<DataSchema> read_schema(const fs::path& file) {
  const auto text = read_whole(file);
  if (!text) return fail(ec::bad_data, "data.schema: " + text.error().text);
  auto schema = parse_schema(*text);
  if (!schema) return fail(ec::bad_data, file.string() + ": " + schema.error().text);
  return schema;
}

Result<DataSchema> find_idx_schema(const fs::path& folder) {
  auto pair = read_idx_pair(folder, "train");
  if (!pair) {
    auto test = read_idx_pair(folder, "t10k");
    if (!test) return tl::unexpected(pair.error());
    pair = std::move(test);
  }
  auto schema = DataSchema();
  schema.kind = "idx";
  schema.pixels = true;
  schema.shape = {1, std::int64_t{pair->images.extents[1]}, std::int64_t{pair->images.extents[2]}};
  const auto& labels = pair->labels.values;
  const auto largest = labels.empty() ? 0 : *std::ranges::max_element(labels);
  schema.classes = numbered_classes(std::max(largest + 1, 2));
  return schema;
}

Result<void> read_idx_samples(const fs::path& folder, const DataSchema& schema, Half half, Samples& samples) {
  const auto pair = read_idx_pair(folder, half == Half::train ? "train" : "t10k");
  if (!pair) return tl::unexpected(pair.error());
  if (auto ok = check_counts(*pair); !ok) return ok;
  auto problems = Problems();
  const auto& extents = pair->images.extents;
  if (schema.shape != std::vector<std::int64_t>{1, extents[1], extents[2]})
    problems.add(std::to_string(extents[2]) + " × " + std::to_string(extents[1]) +
                 " pixels, and the federation's images have " + std::to_string(schema.shape[2]) + " × " +
                 std::to_string(schema.shape[1]));
  const auto& labels = pair->labels.values;
  for (auto at = std::size_t{0}; at < labels.size(); ++at)
    if (labels[at] >= schema.class_count())
      problems.add("the label " + std::to_string(labels[at]) + " at position " + std::to_string(at) +
                   " is none of the " + std::to_string(schema.class_count()) + " classes");
  if (!problems.empty()) return problems.in(pair->images_file);
  samples.bytes.insert(samples.bytes.end(), pair->images.values.begin(), pair->images.values.end());
  samples.labels.insert(samples.labels.end(), labels.begin(), labels.end());
  return {};
}

Result<void> read_samples(const fs::path& path, const DataSchema& schema, Half half, bool with_target,
                          Samples& samples) {
  if (schema.kind == "csv") return read_csv_samples(path, schema, with_target, samples);
  if (schema.kind == "npz") return read_npz_samples(path, schema, half, with_target, samples);
  if (schema.kind == "images") return read_image_samples(path, schema, with_target, samples);
  return read_idx_samples(path, schema, half, samples);
}

/// Whether an npz has any of these arrays.
Result<bool> has_array(const fs::path& path, std::initializer_list<std::string> wanted) {
  const auto arrays = npz_arrays(path);
  if (!arrays) return tl::unexpected(arrays.error());
  return std::ranges::find_first_of(*arrays, wanted) != arrays->end();
}

/// Whether the file says what is to be predicted.
Result<bool> has_target(const fs::path& path, const DataSchema& schema) {
  if (schema.kind == "csv") return has_csv_target(path, schema.target);
  if (schema.kind == "npz") return has_array(path, {"y", "y_test"});
  return schema.kind == "idx";
}

/// Whether the file has samples to test on beside those to train on.
Result<bool> has_test(const fs::path& path, const DataSchema& schema) {
  if (schema.kind == "npz") return has_array(path, {"x_test"});
  if (schema.kind == "idx") return find_idx(path, "t10k-images-idx3-ubyte").has_value();
  return false;
}

DatasetPtr dataset_of(const DataSchema& schema, Samples samples) {
  if (!schema.has_labels())
    return std::make_shared<const Dataset>(schema.shape, std::move(samples.features),
                                           std::move(samples.targets));
  if (schema.pixels)
    return std::make_shared<const Dataset>(schema.shape, schema.class_count(), std::move(samples.bytes),
                                           std::move(samples.labels));
  return std::make_shared<const Dataset>(schema.shape, schema.class_count(), std::move(samples.features),
                                         std::move(samples.labels));
}

/// Beginnings of the files' samples among all.
using Bounds = std::vector<std::size_t>;

std::vector<std::vector<std::uint32_t>> rows_between(const Bounds& bounds) {
  auto owners = std::vector<std::vector<std::uint32_t>>();
  for (auto i = std::size_t{0}; i + 1 < bounds.size(); ++i) {
    auto& rows = owners.emplace_back(bounds[i + 1] - bounds[i]);
    std::iota(rows.begin(), rows.end(), static_cast<std::uint32_t>(bounds[i]));
  }
  return owners;
}

/// Takes a share of each file's samples away to test on.
TrainTest split(const DatasetPtr& all, const Bounds& bounds, double fraction, std::uint64_t seed) {
  auto train = std::vector<std::uint32_t>();
  auto test = std::vector<std::uint32_t>();
  auto left = Bounds{0};
  for (auto& rows : rows_between(bounds)) {
    auto part = DataView{all, std::move(rows)};
    const auto taken = split_validation(part, fraction, stream_seed(seed, "test", left.size() - 1));
    train.insert(train.end(), part.rows.begin(), part.rows.end());
    test.insert(test.end(), taken.rows.begin(), taken.rows.end());
    left.push_back(train.size());
  }
  return {all->subset(train), all->subset(test), rows_between(left)};
}

Result<TrainTest> load_samples(const DatasetOptions& options, const DataSchema& schema,
                               const OwnDataRequest& request, const std::vector<fs::path>& files) {
  auto loaded = TrainTest();
  auto test_inside = false;
  if (!files.empty()) {
    const auto inside = has_test(files.front(), schema);
    if (!inside) return tl::unexpected(inside.error());
    test_inside = *inside;
  }
  const auto splits = request.test && request.test_from_train && options.test_file.empty() && !test_inside;
  if (request.train || splits) {
    auto samples = Samples();
    auto bounds = Bounds{0};
    for (const auto& file : files) {
      if (auto ok = read_samples(file, schema, Half::train, true, samples); !ok)
        return tl::unexpected(ok.error());
      bounds.push_back(samples.size());
    }
    auto all = dataset_of(schema, std::move(samples));
    if (splits)
      loaded = split(all, bounds, options.test_fraction, request.seed);
    else
      loaded = {std::move(all), nullptr, rows_between(bounds)};
  }
  if (request.test && !splits && (test_inside || !options.test_file.empty())) {
    auto samples = Samples();
    auto tests = options.test_file.empty() ? Result<std::vector<fs::path>>(files)
                                           : files_of(options.test_file, schema.kind);
    if (!tests) return tl::unexpected(tests.error());
    for (const auto& file : *tests) {
      auto half = has_test(file, schema);
      if (!half) return tl::unexpected(half.error());
      if (auto ok = read_samples(file, schema, *half ? Half::test : Half::train, true, samples); !ok)
        return tl::unexpected(ok.error());
    }
    loaded.test = dataset_of(schema, std::move(samples));
  }
  return loaded;
}

/// The samples of a text that lies in [begin, end), cut into equal stretches: none reaches from one into the
/// next.
std::vector<std::vector<std::uint32_t>> stretches_of(std::size_t begin, std::size_t end, std::size_t count,
                                                     std::size_t length) {
  auto stretches = std::vector<std::vector<std::uint32_t>>();
  for (auto i = std::size_t{0}; i < count; ++i) {
    const auto from = begin + (end - begin) * i / count;
    const auto to = begin + (end - begin) * (i + 1) / count;
    auto& rows = stretches.emplace_back(to - from - length);
    std::iota(rows.begin(), rows.end(), static_cast<std::uint32_t>(from));
  }
  return stretches;
}

/// Of each file the last part is tested on, so that no sample to test on was seen in training.
Result<TrainTest> load_text(const DatasetOptions& options, const DataSchema& schema,
                            const OwnDataRequest& request, const std::vector<fs::path>& files) {
  const auto length = static_cast<std::size_t>(schema.shape.front());
  const auto splits = request.test && request.test_from_train && options.test_file.empty();
  auto train = std::vector<std::uint8_t>();
  auto test = std::vector<std::uint8_t>();
  auto test_rows = std::vector<std::uint32_t>();
  const auto end_test_file = [&](std::size_t begin) {
    if (test.size() - begin <= length) return;
    const auto rows = stretches_of(begin, test.size(), 1, length).front();
    test_rows.insert(test_rows.end(), rows.begin(), rows.end());
  };
  auto owners = std::vector<std::vector<std::uint32_t>>();
  const auto too_short = [&](const fs::path& file) {
    return fail(ec::bad_data, file.string() + " has too few characters to predict one from " +
                                  std::to_string(length) + " (data.text_length)");
  };
  for (const auto& file : files) {
    const auto begin = train.size();
    if (auto ok = read_text_codes(file, train); !ok) return tl::unexpected(ok.error());
    const auto codes = train.size() - begin;
    if (splits) {
      const auto kept =
          begin + static_cast<std::size_t>(static_cast<double>(codes) * (1 - options.test_fraction));
      const auto test_begin = test.size();
      test.insert(test.end(), train.begin() + static_cast<std::ptrdiff_t>(kept), train.end());
      train.resize(kept);
      end_test_file(test_begin);
    }
    const auto stretches = files.size() == 1 ? std::max(request.clients, 1U) : 1U;
    if ((train.size() - begin) / stretches <= length) return too_short(file);
    for (auto& rows : stretches_of(begin, train.size(), stretches, length)) owners.push_back(std::move(rows));
  }
  if (request.test && !options.test_file.empty()) {
    const auto tests = files_of(options.test_file, schema.kind);
    if (!tests) return tl::unexpected(tests.error());
    for (const auto& file : *tests) {
      const auto begin = test.size();
      if (auto ok = read_text_codes(file, test); !ok) return tl::unexpected(ok.error());
      end_test_file(begin);
    }
    if (test_rows.empty()) return too_short(options.test_file);
  }
  auto loaded = TrainTest();
  if (!train.empty()) {
    loaded.train = Dataset::of_sequence(length, schema.class_count(), std::move(train));
    loaded.owners = std::move(owners);
  }
  if (!test_rows.empty())
    loaded.test = Dataset::of_sequence(length, schema.class_count(), std::move(test))->subset(test_rows);
  return loaded;
}

}  // namespace

bool is_own_data(std::string_view name) {
  return name == "csv" || name == "npz" || name == "images" || name == "idx" || name == "text";
}

DataSchema shared_schema(const DatasetOptions& options) {
  auto schema = DataSchema();
  schema.classes = numbered_classes(10);
  schema.kind = options.name == "synthetic_logistic" ? "npz" : "idx";
  schema.pixels = schema.kind == "idx";
  schema.shape = schema.pixels ? std::vector<std::int64_t>{1, 28, 28} : std::vector<std::int64_t>{60};
  return schema;
}

namespace {

Result<DataSchema> find_any_schema(const DatasetOptions& options, bool labels) {
  if (!options.schema_file.empty()) {
    auto schema = read_schema(options.schema_file);
    if (schema && schema->kind != options.name)
      return fail(ec::bad_config, "data.schema = \"" + options.schema_file.string() + "\" describes " +
                                      schema->kind + ", but data.name is \"" + options.name + "\"");
    return schema;
  }
  if (options.name == "text") return text_schema(options.text_length);
  const auto& path = options.file.empty() ? options.test_file : options.file;
  if (path.empty())
    return fail(ec::bad_config, "data.name = \"" + options.name +
                                    "\" needs data.file, or where there are only samples to test on "
                                    "data.test_file, or where there are none data.schema");
  const auto files = files_of(path, options.name);
  if (!files) return tl::unexpected(files.error());
  if (options.name == "csv") return find_csv_schema(*files, options, labels);
  if (options.name == "images") return find_image_schema(files->front());
  if (options.name == "idx") return find_idx_schema(files->front());
  auto schema = find_npz_schema(files->front(), options.standardise, labels);
  for (auto file = files->begin() + 1; schema && file != files->end(); ++file) {
    const auto other = find_npz_schema(*file, options.standardise, labels);
    if (!other || other->classes.size() > schema->classes.size()) schema = other;
  }
  return schema;
}

}  // namespace

Result<DataSchema> find_schema(const DatasetOptions& options, bool labels) {
  const auto only_classes = options.name == "images" || options.name == "idx" || options.name == "text";
  if (!labels && only_classes)
    return fail(ec::bad_config, "data.name = \"" + options.name +
                                    "\" has classes to predict; set train.loss = \"cross_entropy\"");
  auto schema = find_any_schema(options, labels);
  if (!schema) return schema;
  if (auto ok = check_schema(*schema); !ok) return tl::unexpected(ok.error());
  return schema;
}

Result<TrainTest> load_own_data(const DatasetOptions& options, const DataSchema& schema,
                                const OwnDataRequest& request) {
  if (request.train && options.file.empty())
    return fail(ec::bad_config, "data.name = \"" + options.name + "\" needs data.file, " +
                                    (ending_of(options.name).empty() ? "a folder" : "a file or a folder"));
  auto files = std::vector<fs::path>();
  if (!options.file.empty() && (request.train || options.test_file.empty())) {
    auto found = files_of(options.file, schema.kind);
    if (!found) return tl::unexpected(found.error());
    files = std::move(*found);
  }
  auto loaded = schema.kind == "text" ? load_text(options, schema, request, files)
                                      : load_samples(options, schema, request, files);
  if (!loaded) return loaded;
  // One file is nobody's in particular. Text is always divided: no sample reaches from one file to the next.
  const auto divided = schema.kind == "text" || (request.clients > 0 && files.size() > 1);
  if (!divided) loaded->owners.clear();
  if (!request.train) loaded->train = nullptr;
  return loaded;
}

namespace {

/// Where there are samples to test on, those.
Half half_to_predict(const fs::path& file, const DataSchema& schema) {
  return has_test(file, schema).value_or(false) ? Half::test : Half::train;
}

}  // namespace

Result<UnseenData> load_unseen(const fs::path& file, const DataSchema& schema) {
  if (schema.kind == "text")
    return fail(ec::bad_data,
                "a model of text predicts one character after the other; load its model.pt in a program of "
                "your own");
  auto is_folder = std::error_code();
  if (!ending_of(schema.kind).empty() && fs::is_directory(file, is_folder))
    return fail(ec::bad_data,
                file.string() + " is a folder; give one file that ends with " + ending_of(schema.kind));
  auto unseen = UnseenData();
  const auto targets = has_target(file, schema);
  if (!targets) return tl::unexpected(targets.error());
  unseen.has_target = *targets;
  auto samples = Samples();
  auto read = schema.kind == "images"
                  ? read_image_samples(file, schema, false, samples, &unseen.names)
                  : read_samples(file, schema, half_to_predict(file, schema), unseen.has_target, samples);
  if (!read) return tl::unexpected(read.error());
  const auto values = schema.pixels ? samples.bytes.size() : samples.features.size();
  const auto rows = values / inputs_of(schema);
  for (auto row = unseen.names.size() + 1; row <= rows; ++row) unseen.names.push_back(std::to_string(row));
  if (!unseen.has_target && schema.has_labels()) samples.labels.assign(rows, 0);
  if (!unseen.has_target && !schema.has_labels()) samples.targets.assign(rows, 0);
  unseen.data = dataset_of(schema, std::move(samples));
  return unseen;
}

std::vector<bool> standardised_inputs(const DataSchema& schema) {
  if (!schema.standardise) return {};
  if (schema.kind != "csv") return std::vector<bool>(inputs_of(schema), true);
  auto numbers = std::vector<bool>();
  for (const auto& column : schema.columns)
    numbers.insert(numbers.end(), column.inputs(), column.is_number());
  return numbers;
}

}  // namespace fl
