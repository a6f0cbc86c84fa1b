// How good predictions are: the numbers beside loss and accuracy, as scikit-learn defines them.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fl {

/// By name; only finite values.
using QualityMetrics = std::map<std::string, double>;

/// Whether there is a metric of this name.
bool is_quality_metric(std::string_view name);

/// Of predicted labels.
///
///   f1     2 TP / (2 TP + FP + FN): of class 1 where there are two classes, else the mean over the classes
///   that occur auroc  two classes: probability that a sample of class 1 has the higher score, ties counting
///   half
///          (Mann-Whitney)
///   auprc  two classes: average precision, Σ (recall_i − recall_{i−1}) · precision_i over falling scores
///
/// The last two need samples of both classes, and scores that are numbers.
class LabelQuality {
 public:
  explicit LabelQuality(std::size_t classes) : classes_(classes), counts_(classes * classes) {}

  /// One batch: true labels and those that were said, in [0, classes); `scores` for class 1, any rising
  /// function of its probability, empty unless there are two classes.
  void add(std::span<const std::int64_t> labels, std::span<const std::int64_t> said,
           std::span<const float> scores);

  std::uint64_t right() const;
  QualityMetrics metrics() const;

 private:
  struct Scored {
    float score;
    bool positive;
  };

  std::size_t classes_;
  std::vector<std::uint64_t> counts_;  ///< [true label][said label]
  std::vector<Scored> scored_;
};

/// Of predicted numbers: "mae" and "rmse" in the target's unit, "r2" (1 − Σ error² / Σ deviation²; missing
/// where all targets are the same).
class NumberQuality {
 public:
  void add(std::span<const float> targets, std::span<const float> predictions);
  QualityMetrics metrics() const;

 private:
  std::uint64_t count_ = 0;
  double absolute_ = 0;   ///< Σ |error|
  double squared_ = 0;    ///< Σ error²
  double mean_ = 0;       ///< of the targets
  double deviation_ = 0;  ///< Σ (target − mean)², kept up to date as Welford does (1962)
};

}  // namespace fl
