#include "learning/data/dataset.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <stdexcept>

#include "learning/data/mnist.hpp"
#include "learning/data/synthetic_digits.hpp"
#include "learning/data/synthetic_logistic.hpp"
#include "messages/envelope.hpp"

namespace fl {
namespace {

/// Bounds the memory that a mistyped number can ask for: 7.8 GB of digits.
constexpr std::uint32_t kMaxSyntheticSamples = 10'000'000;

constexpr std::size_t kByteValues = 256;

/// (b / 255 − 0.5) / 0.5 in float32, in the order of operations that torchvision uses, hence with the same
/// bits.
std::array<float, kByteValues> make_normalised() {
  std::array<float, kByteValues> table{};
  for (std::size_t b = 0; b < kByteValues; ++b) table[b] = (static_cast<float>(b) / 255.0f - 0.5f) / 0.5f;
  return table;
}

const std::array<float, kByteValues> kNormalised = make_normalised();

std::size_t product(const std::vector<std::int64_t>& shape) {
  return static_cast<std::size_t>(
      std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()));
}

/// Whoever builds a dataset has checked its input; what is left is a bug.
void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

void require_consistent(std::size_t features, std::size_t sample_size,
                        const std::vector<std::int64_t>& labels, std::uint32_t classes) {
  require(features == sample_size * labels.size(), "Dataset: the features are not one sample for each label");
  require(std::ranges::all_of(labels, [&](auto label) { return label >= 0 && label < classes; }),
          "Dataset: a label is not in [0, classes)");
}

Result<void> check(const DatasetOptions& options) {
  const auto in_range = [](std::uint32_t count) { return count >= 1 && count <= kMaxSyntheticSamples; };
  const auto range = ", expected 1 to " + std::to_string(kMaxSyntheticSamples);
  if (!in_range(options.synthetic_train)) {
    return fail(ec::bad_config, "data.synthetic_train is " + std::to_string(options.synthetic_train) + range);
  }
  if (!in_range(options.synthetic_test)) {
    return fail(ec::bad_config, "data.synthetic_test is " + std::to_string(options.synthetic_test) + range);
  }
  const auto spread = [](double value) { return std::isfinite(value) && value >= 0; };
  if (!spread(options.logistic_alpha)) {
    return fail(ec::bad_config, "data.logistic_alpha is " + std::to_string(options.logistic_alpha) +
                                    ", expected a number ≥ 0");
  }
  if (!spread(options.logistic_beta)) {
    return fail(ec::bad_config,
                "data.logistic_beta is " + std::to_string(options.logistic_beta) + ", expected a number ≥ 0");
  }
  return {};
}

}  // namespace

Dataset::Dataset(std::vector<std::int64_t> sample_shape, std::uint32_t classes, std::vector<float> features,
                 std::vector<std::int64_t> labels)
    : sample_shape_(std::move(sample_shape)),
      sample_size_(product(sample_shape_)),
      step_(sample_size_),
      classes_(classes),
      float_features_(std::move(features)),
      labels_(std::move(labels)) {
  require_consistent(float_features_.size(), sample_size_, labels_, classes_);
}

Dataset::Dataset(std::vector<std::int64_t> sample_shape, std::uint32_t classes,
                 std::vector<std::uint8_t> features, std::vector<std::int64_t> labels)
    : sample_shape_(std::move(sample_shape)),
      sample_size_(product(sample_shape_)),
      step_(sample_size_),
      classes_(classes),
      byte_features_(std::move(features)),
      labels_(std::move(labels)) {
  require_consistent(byte_features_.size(), sample_size_, labels_, classes_);
}

Dataset::Dataset(std::vector<std::int64_t> sample_shape, std::vector<float> features,
                 std::vector<float> targets)
    : sample_shape_(std::move(sample_shape)),
      sample_size_(product(sample_shape_)),
      step_(sample_size_),
      float_features_(std::move(features)),
      targets_(std::move(targets)) {
  require(float_features_.size() == sample_size_ * targets_.size(),
          "Dataset: the features are not one sample for each target");
}

DatasetPtr Dataset::of_sequence(std::size_t length, std::uint32_t classes, std::vector<std::uint8_t> codes) {
  require(codes.size() > length, "Dataset: the sequence has no sample");
  require(std::ranges::all_of(codes, [&](auto code) { return code < classes; }),
          "Dataset: a code is not in [0, classes)");
  auto dataset = Dataset();
  dataset.sample_shape_ = {static_cast<std::int64_t>(length)};
  dataset.sample_size_ = length;
  dataset.step_ = 1;
  dataset.pixels_ = false;
  dataset.classes_ = classes;
  dataset.labels_.assign(codes.begin() + static_cast<std::ptrdiff_t>(length), codes.end());
  dataset.byte_features_ = std::move(codes);
  return std::make_shared<const Dataset>(std::move(dataset));
}

void Dataset::take_targets(const Dataset& from, std::span<const std::uint32_t> rows) {
  sample_shape_ = from.sample_shape_;
  sample_size_ = step_ = from.sample_size_;
  pixels_ = from.pixels_;
  classes_ = from.classes_;
  for (const auto row : rows)
    if (has_labels())
      labels_.push_back(from.labels_[row]);
    else
      targets_.push_back(from.targets_[row]);
}

DatasetPtr Dataset::subset(std::span<const std::uint32_t> rows) const {
  auto part = Dataset();
  part.take_targets(*this, rows);
  const auto copy = [&](const auto& from, auto& to) {
    if (from.empty()) return;
    to.reserve(rows.size() * sample_size_);
    for (const auto row : rows) {
      const auto begin = from.begin() + static_cast<std::ptrdiff_t>(begin_of(row));
      to.insert(to.end(), begin, begin + static_cast<std::ptrdiff_t>(sample_size_));
    }
  };
  copy(float_features_, part.float_features_);
  copy(byte_features_, part.byte_features_);
  return std::make_shared<const Dataset>(std::move(part));
}

DatasetPtr Dataset::with_features(std::span<const std::uint32_t> rows, std::vector<float> features) const {
  require(features.size() == rows.size() * sample_size_, "Dataset: the features do not fit the rows");
  auto other = Dataset();
  other.take_targets(*this, rows);
  other.float_features_ = std::move(features);
  return std::make_shared<const Dataset>(std::move(other));
}

std::uint64_t Dataset::fingerprint(std::span<const std::uint32_t> rows) const {
  auto hash = Hash();
  hash.add(std::as_bytes(std::span(sample_shape_)));
  hash.add(std::as_bytes(std::span(&classes_, 1)));
  for (const auto row : rows) {
    const auto begin = begin_of(row);
    if (byte_features_.empty())
      hash.add(std::as_bytes(std::span(float_features_).subspan(begin, sample_size_)));
    else
      hash.add(std::as_bytes(std::span(byte_features_).subspan(begin, sample_size_)));
    if (has_labels())
      hash.add(std::as_bytes(std::span(&labels_[row], 1)));
    else
      hash.add(std::as_bytes(std::span(&targets_[row], 1)));
  }
  return std::max<std::uint64_t>(hash.value(), 1);
}

void Dataset::gather_features(std::span<const std::uint32_t> rows, std::span<float> features) const {
  require(features.size() == rows.size() * sample_size_, "Dataset::gather: the output does not fit the rows");
  auto out = features.begin();
  for (const std::size_t row : rows) {
    require(row < size(), "Dataset::gather: a row lies beyond the end");
    if (byte_features_.empty()) {
      out = std::copy_n(float_features_.data() + begin_of(row), sample_size_, out);
    } else {
      const auto* bytes = byte_features_.data() + begin_of(row);
      out = pixels_ ? std::transform(bytes, bytes + sample_size_, out,
                                     [](auto byte) { return kNormalised[byte]; })
                    : std::copy_n(bytes, sample_size_, out);
    }
  }
}

void Dataset::gather(std::span<const std::uint32_t> rows, std::span<float> features,
                     std::span<std::int64_t> labels) const {
  require(has_labels() && labels.size() == rows.size(), "Dataset::gather: the output does not fit the rows");
  gather_features(rows, features);
  std::ranges::transform(rows, labels.begin(), [this](auto row) { return labels_[row]; });
}

void Dataset::gather(std::span<const std::uint32_t> rows, std::span<float> features,
                     std::span<float> targets) const {
  require(!has_labels() && targets.size() == rows.size(),
          "Dataset::gather: the output does not fit the rows");
  gather_features(rows, features);
  std::ranges::transform(rows, targets.begin(), [this](auto row) { return targets_[row]; });
}

DataView DataView::all(DatasetPtr dataset) {
  std::vector<std::uint32_t> rows(dataset->size());
  std::iota(rows.begin(), rows.end(), std::uint32_t{0});
  return {std::move(dataset), std::move(rows)};
}

std::uint64_t DataView::fingerprint() const {
  return dataset->fingerprint(rows);
}

std::vector<std::uint64_t> DataView::label_histogram() const {
  return dataset->label_histogram(rows);
}

std::vector<std::uint64_t> Dataset::label_histogram(std::span<const std::uint32_t> rows) const {
  std::vector<std::uint64_t> histogram(classes_, 0);
  if (!has_labels()) return histogram;
  for (const auto row : rows) ++histogram[static_cast<std::size_t>(label(row))];
  return histogram;
}

Result<TrainTest> load_dataset(const DatasetOptions& options, std::uint64_t seed, std::uint32_t clients) {
  if (const auto valid = check(options); !valid) return tl::unexpected(valid.error());
  if (options.name == "mnist") return load_mnist(options.dir);
  if (options.name == "synthetic_digits") {
    return make_synthetic_digits(options.synthetic_train, options.synthetic_test, seed);
  }
  if (options.name == "synthetic_logistic") {
    if (clients < 1)
      return fail(ec::bad_config, "clients.count is 0, but synthetic_logistic needs at least 1");
    return make_synthetic_logistic(options.logistic_alpha, options.logistic_beta, clients, seed);
  }
  return fail(ec::bad_config, "data.name is \"" + options.name +
                                  "\", expected mnist, synthetic_digits or synthetic_logistic");
}

}  // namespace fl
