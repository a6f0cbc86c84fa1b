#include "learning/quality.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace fl {

bool is_quality_metric(std::string_view name) {
  constexpr auto kNames = std::array<std::string_view, 6>{"auprc", "auroc", "f1", "mae", "r2", "rmse"};
  return std::ranges::find(kNames, name) != kNames.end();
}

void LabelQuality::add(std::span<const std::int64_t> labels, std::span<const std::int64_t> said,
                       std::span<const float> scores) {
  for (std::size_t i = 0; i < labels.size(); ++i)
    ++counts_[static_cast<std::size_t>(labels[i]) * classes_ + static_cast<std::size_t>(said[i])];
  for (std::size_t i = 0; i < scores.size(); ++i) scored_.push_back({scores[i], labels[i] == 1});
}

std::uint64_t LabelQuality::right() const {
  auto right = std::uint64_t{0};
  for (std::size_t k = 0; k < classes_; ++k) right += counts_[k * classes_ + k];
  return right;
}

QualityMetrics LabelQuality::metrics() const {
  auto metrics = QualityMetrics();
  auto f1 = 0.0;
  auto occurring = 0.0;
  for (std::size_t k = classes_ == 2 ? 1 : 0; k < classes_; ++k) {
    auto of_class = std::uint64_t{0};
    auto said = std::uint64_t{0};
    for (std::size_t other = 0; other < classes_; ++other) {
      of_class += counts_[k * classes_ + other];
      said += counts_[other * classes_ + k];
    }
    if (of_class + said == 0) continue;
    f1 += 2 * static_cast<double>(counts_[k * classes_ + k]) / static_cast<double>(of_class + said);
    ++occurring;
  }
  if (occurring > 0) metrics["f1"] = f1 / occurring;

  // A model that has diverged ranks nothing.
  if (std::ranges::any_of(scored_, [](const auto& one) { return std::isnan(one.score); })) return metrics;
  auto ranked = scored_;
  std::ranges::sort(ranked, std::ranges::greater(), &Scored::score);
  const auto positives = static_cast<double>(std::ranges::count_if(ranked, &Scored::positive));
  const auto negatives = static_cast<double>(ranked.size()) - positives;
  if (positives == 0 || negatives == 0) return metrics;
  auto above = 0.0;  // positives so far
  auto below = 0.0;  // negatives so far
  auto pairs = 0.0;  // (positive, negative) in the right order
  auto precision = 0.0;
  for (auto first = ranked.begin(); first != ranked.end();) {
    const auto last =
        std::find_if(first, ranked.end(), [&](const auto& one) { return one.score != first->score; });
    const auto tied =
        static_cast<double>(std::count_if(first, last, [](const auto& one) { return one.positive; }));
    const auto others = static_cast<double>(last - first) - tied;
    pairs += others * above + 0.5 * others * tied;
    above += tied;
    below += others;
    precision += tied / positives * (above / (above + below));
    first = last;
  }
  metrics["auroc"] = pairs / (positives * negatives);
  metrics["auprc"] = precision;
  return metrics;
}

void NumberQuality::add(std::span<const float> targets, std::span<const float> predictions) {
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto target = static_cast<double>(targets[i]);
    const auto error = static_cast<double>(predictions[i]) - target;
    absolute_ += std::abs(error);
    squared_ += error * error;
    const auto from_before = target - mean_;
    mean_ += from_before / static_cast<double>(++count_);
    deviation_ += from_before * (target - mean_);
  }
}

QualityMetrics NumberQuality::metrics() const {
  if (count_ == 0) return {};
  const auto count = static_cast<double>(count_);
  auto metrics = QualityMetrics{{"mae", absolute_ / count}, {"rmse", std::sqrt(squared_ / count)}};
  if (deviation_ > 0) metrics["r2"] = 1 - squared_ / deviation_;
  std::erase_if(metrics, [](const auto& metric) { return !std::isfinite(metric.second); });
  return metrics;
}

}  // namespace fl
