// Labelled samples in memory, given out in batches by index.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "messages/errors.hpp"

namespace fl {

class Dataset;
using DatasetPtr = std::shared_ptr<const Dataset>;

/// Immutable samples x [N, shape…] with a target each: a class label, or a number. Stored compactly: MNIST as
/// bytes, a quarter of float32.
class Dataset {
 public:
  /// Float samples, row-major [N, shape…].
  Dataset(std::vector<std::int64_t> sample_shape, std::uint32_t classes, std::vector<float> features,
          std::vector<std::int64_t> labels);
  /// Byte samples b, given out as (b / 255 − 0.5) / 0.5.
  Dataset(std::vector<std::int64_t> sample_shape, std::uint32_t classes, std::vector<std::uint8_t> features,
          std::vector<std::int64_t> labels);
  /// Float samples with numbers to predict.
  Dataset(std::vector<std::int64_t> sample_shape, std::vector<float> features, std::vector<float> targets);
  /// Sample i is the `length` codes from i on, as numbers, and its label the code that follows: one sample
  /// for each code but the first `length`. Codes are in [0, classes).
  static DatasetPtr of_sequence(std::size_t length, std::uint32_t classes, std::vector<std::uint8_t> codes);

  std::size_t size() const { return has_labels() ? labels_.size() : targets_.size(); }
  bool has_labels() const { return classes_ > 0; }
  const std::vector<std::int64_t>& sample_shape() const { return sample_shape_; }
  std::size_t sample_size() const { return sample_size_; }            ///< floats in one sample
  bool samples_overlap() const { return step_ < sample_size_; }       ///< they are of one sequence
  std::uint32_t classes() const { return classes_; }                  ///< 0: the targets are numbers
  std::int64_t label(std::size_t row) const { return labels_[row]; }  ///< where there are labels
  float target(std::size_t row) const { return targets_[row]; }       ///< where there are numbers

  /// Samples of each class among `rows`, [classes]; empty where there are none.
  std::vector<std::uint64_t> label_histogram(std::span<const std::uint32_t> rows) const;

  /// The same for the same samples in the same order, and never 0 (XXH3-64 of shape, classes, features,
  /// targets).
  std::uint64_t fingerprint(std::span<const std::uint32_t> rows) const;

  /// Writes the samples `rows` to `features` [rows.size() · sample_size()] and their classes to `labels`.
  void gather(std::span<const std::uint32_t> rows, std::span<float> features,
              std::span<std::int64_t> labels) const;
  /// The same with numbers.
  void gather(std::span<const std::uint32_t> rows, std::span<float> features, std::span<float> targets) const;
  /// The samples alone.
  void gather_features(std::span<const std::uint32_t> rows, std::span<float> features) const;

  /// The samples `rows` alone, in that order. Copies them.
  DatasetPtr subset(std::span<const std::uint32_t> rows) const;
  /// The same with other features, [rows.size(), sample_size()].
  DatasetPtr with_features(std::span<const std::uint32_t> rows, std::vector<float> features) const;

 private:
  Dataset() = default;
  void take_targets(const Dataset& from, std::span<const std::uint32_t> rows);
  std::size_t begin_of(std::size_t row) const { return row * step_; }

  std::vector<std::int64_t> sample_shape_;
  std::size_t sample_size_ = 0;
  std::size_t step_ = 0;  ///< from the beginning of a sample to that of the next
  bool pixels_ = true;    ///< bytes are given out normalised, not as they are
  std::uint32_t classes_ = 0;
  std::vector<float> float_features_;
  std::vector<std::uint8_t> byte_features_;
  std::vector<std::int64_t> labels_;
  std::vector<float> targets_;
};

/// Some rows of a dataset: one client's part, or a test set.
struct DataView {
  DatasetPtr dataset;
  std::vector<std::uint32_t> rows;

  static DataView all(DatasetPtr dataset);
  std::size_t size() const { return rows.size(); }
  /// Samples of each class, [classes].
  std::vector<std::uint64_t> label_histogram() const;
  /// See Dataset::fingerprint.
  std::uint64_t fingerprint() const;
};

struct DatasetOptions {
  std::string name = "mnist";  ///< "mnist" | "synthetic_digits" | "synthetic_logistic", or own data:
                               ///< "csv" | "npz" | "images" | "idx" | "text"
  std::filesystem::path dir = "data/mnist";  ///< of the IDX files, plain or .gz
  std::uint32_t synthetic_train = 12'000;    ///< samples of synthetic_digits to train on, ≥ 1
  std::uint32_t synthetic_test = 2'000;      ///< and to test on
  double logistic_alpha = 1;                 ///< synthetic(α, β): how much the clients' models differ
  double logistic_beta = 1;                  ///< how much their inputs differ
  // own data: own_data.hpp
  std::filesystem::path file = {};            ///< or a folder
  std::filesystem::path test_file = {};       ///< empty: test_fraction of `file`
  double test_fraction = 0.2;                 ///< in (0, 1)
  std::filesystem::path schema_file = {};     ///< empty: found in the data
  std::string target = {};                    ///< column of a csv; empty: the last
  std::vector<std::string> ignore = {};       ///< columns that are not read
  std::vector<std::string> categorical = {};  ///< columns whose numbers name categories
  bool standardise = true;                    ///< numbers of csv and npz
  std::uint32_t text_length = 80;             ///< characters from which the next is predicted, ≥ 1
};

/// Training samples, test samples, and, where the data itself says who owns what, each client's training
/// rows.
struct TrainTest {
  DatasetPtr train;  ///< null where it was not asked for
  DatasetPtr test;
  std::vector<std::vector<std::uint32_t>> owners;  ///< empty: partition as configured
};

/// Loads or makes a dataset. `seed` and `clients` matter to the synthetic ones. Fails with `bad_data`, naming
/// the file, what is wrong with it and what to do, or `bad_config`.
Result<TrainTest> load_dataset(const DatasetOptions& options, std::uint64_t seed, std::uint32_t clients);

}  // namespace fl
