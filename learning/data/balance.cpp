#include "learning/data/balance.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "learning/random.hpp"

namespace fl {

namespace {

constexpr double kMostSamples = 1e15;

/// So many samples every label that occurs is to have.
std::uint64_t least_of_a_label(const BalanceSettings& settings, std::span<const std::uint64_t> histogram) {
  if (!settings.adds_samples() || histogram.empty()) return 0;
  // Peers may claim anything: what would not fit is no number of samples.
  const auto least = std::ceil(settings.ratio * static_cast<double>(std::ranges::max(histogram)));
  return static_cast<std::uint64_t>(std::min(least, kMostSamples));
}

}  // namespace

std::uint64_t epoch_samples(const BalanceSettings& settings, std::uint64_t samples,
                            std::span<const std::uint64_t> histogram) {
  const auto least = least_of_a_label(settings, histogram);
  for (const auto count : histogram)
    if (count > 0 && count < least) samples += least - count;
  return samples;
}

std::uint64_t epoch_samples(const BalanceSettings& settings, const DataView& data) {
  if (!settings.adds_samples()) return data.size();
  return epoch_samples(settings, data.size(), data.label_histogram());
}

std::vector<std::uint32_t> rare_repeats(const BalanceSettings& settings, const DataView& data,
                                        std::uint64_t seed) {
  auto repeats = std::vector<std::uint32_t>();
  if (!settings.adds_samples()) return repeats;
  const auto histogram = data.label_histogram();
  const auto least = least_of_a_label(settings, histogram);
  auto random = RandomStream(stream_seed(seed, "balance"));
  for (std::size_t label = 0; label < histogram.size(); ++label) {
    if (histogram[label] == 0 || histogram[label] >= least) continue;
    auto rows = std::vector<std::uint32_t>();
    for (const auto row : data.rows)
      if (std::cmp_equal(data.dataset->label(row), label)) rows.push_back(row);
    for (auto i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[random.below(i)]);
    for (std::uint64_t i = 0; i < least - histogram[label]; ++i) repeats.push_back(rows[i % rows.size()]);
  }
  return repeats;
}

std::vector<float> loss_weights(const BalanceSettings& settings, std::span<const std::uint64_t> histogram) {
  const auto beta = settings.loss_beta;
  if (beta == 0) return {};
  auto weights = std::vector<double>(histogram.size());
  auto sum = 0.0;
  auto samples = 0.0;
  for (std::size_t label = 0; label < histogram.size(); ++label) {
    if (histogram[label] == 0) continue;
    const auto count = static_cast<double>(histogram[label]);
    // 1 − βⁿ, also where β is so near to 1 that βⁿ rounds to it.
    weights[label] = (1 - beta) / -std::expm1(count * std::log(beta));
    sum += count * weights[label];
    samples += count;
  }
  auto scaled = std::vector<float>(weights.size());
  std::ranges::transform(weights, scaled.begin(),
                         [&](double weight) { return static_cast<float>(weight * samples / sum); });
  return scaled;
}

}  // namespace fl
