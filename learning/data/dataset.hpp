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

  std::size_t size() const { return has_labels() ? labels_.size() : targets_.size(); }
  bool has_labels() const { return classes_ > 0; }
  const std::vector<std::int64_t>& sample_shape() const { return sample_shape_; }
  std::size_t sample_size() const { return sample_size_; }            ///< floats in one sample
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

 private:
  void gather_features(std::span<const std::uint32_t> rows, std::span<float> features) const;

  std::vector<std::int64_t> sample_shape_;
  std::size_t sample_size_ = 0;
  std::uint32_t classes_ = 0;
  std::vector<float> float_features_;
  std::vector<std::uint8_t> byte_features_;
  std::vector<std::int64_t> labels_;
  std::vector<float> targets_;
};

using DatasetPtr = std::shared_ptr<const Dataset>;

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
  std::string name = "mnist";                ///< "mnist" | "synthetic_digits" | "synthetic_logistic"
  std::filesystem::path dir = "data/mnist";  ///< of the IDX files, plain or .gz
  std::uint32_t synthetic_train = 12'000;    ///< samples of synthetic_digits to train on, ≥ 1
  std::uint32_t synthetic_test = 2'000;      ///< and to test on
  double logistic_alpha = 1;                 ///< synthetic(α, β): how much the clients' models differ
  double logistic_beta = 1;                  ///< how much their inputs differ
};

/// Training samples, test samples, and, where the data itself says who owns what, each client's training
/// rows.
struct TrainTest {
  DatasetPtr train;
  DatasetPtr test;
  std::vector<std::vector<std::uint32_t>> owners;  ///< empty: partition as configured
};

/// Loads or makes a dataset. `seed` and `clients` matter to the synthetic ones. Fails with `bad_data`, naming
/// the file, what is wrong with it and what to do, or `bad_config`.
Result<TrainTest> load_dataset(const DatasetOptions& options, std::uint64_t seed, std::uint32_t clients);

}  // namespace fl
