#include "learning/data/balance.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace fl;

namespace {

/// A client with so many samples of each label.
DataView client_with(const std::vector<std::uint64_t>& histogram) {
  auto labels = std::vector<std::int64_t>();
  for (std::size_t label = 0; label < histogram.size(); ++label)
    labels.insert(labels.end(), histogram[label], static_cast<std::int64_t>(label));
  const auto classes = static_cast<std::uint32_t>(histogram.size());
  auto features = std::vector<std::uint8_t>(labels.size());
  return DataView::all(std::make_shared<const Dataset>(std::vector<std::int64_t>{1}, classes,
                                                       std::move(features), std::move(labels)));
}

BalanceSettings oversample(double ratio) {
  auto settings = BalanceSettings();
  settings.name = "oversample";
  settings.ratio = ratio;
  return settings;
}

/// How often each label is trained on in an epoch.
std::vector<std::uint64_t> in_an_epoch(const BalanceSettings& settings, const DataView& data,
                                       std::uint64_t seed = 1) {
  auto counts = data.label_histogram();
  for (const auto row : rare_repeats(settings, data, seed))
    ++counts[static_cast<std::size_t>(data.dataset->label(row))];
  return counts;
}

}  // namespace

TEST_CASE("rare labels come up to the ratio, rounded up; others and absent ones stay as they are") {
  const auto data = client_with({100, 3, 0, 60});
  using Counts = std::vector<std::uint64_t>;
  CHECK(in_an_epoch({}, data) == Counts{100, 3, 0, 60});
  CHECK(in_an_epoch(oversample(1), data) == Counts{100, 100, 0, 100});
  CHECK(in_an_epoch(oversample(0.5), data) == Counts{100, 50, 0, 60});
  CHECK(in_an_epoch(oversample(0.031), data) == Counts{100, 4, 0, 60});
  CHECK(in_an_epoch(oversample(0.01), data) == Counts{100, 3, 0, 60});
}

TEST_CASE("an epoch is as long as what is trained on, by the histogram alone") {
  const auto data = client_with({100, 3, 0, 60});
  for (const auto ratio : {0.01, 0.5, 1.0}) {
    const auto settings = oversample(ratio);
    const auto counts = in_an_epoch(settings, data);
    const auto trained = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
    CHECK(epoch_samples(settings, data) == trained);
    CHECK(epoch_samples(settings, data.size(), data.label_histogram()) == trained);
  }
  CHECK(epoch_samples({}, data) == data.size());
  CHECK(epoch_samples(oversample(1), 7, {}) == 7);
}

TEST_CASE("the rows of a label are repeated in turn, in an order that the seed decides") {
  const auto data = client_with({40, 6});
  const auto repeats = rare_repeats(oversample(1), data, 1);
  auto times = std::vector<int>(data.size());
  for (const auto row : repeats) ++times[row];
  for (std::size_t row = 0; row < data.size(); ++row) {
    CHECK(times[row] >= (row < 40 ? 0 : 5));
    CHECK(times[row] <= (row < 40 ? 0 : 6));
  }
  CHECK(repeats == rare_repeats(oversample(1), data, 1));
  CHECK(repeats != rare_repeats(oversample(1), data, 2));
}

TEST_CASE("the class-balanced loss counts rare labels more, and a sample as 1 on average") {
  auto settings = BalanceSettings();
  CHECK(loss_weights(settings, std::vector<std::uint64_t>{5, 1}).empty());
  const auto histogram = std::vector<std::uint64_t>{90, 10, 0};
  for (const auto beta : {0.5, 0.9, 0.999, 1 - 1e-12}) {
    CAPTURE(beta);
    settings.loss_beta = beta;
    const auto weights = loss_weights(settings, histogram);
    REQUIRE(weights.size() == 3);
    CHECK(weights[2] == 0);
    CHECK(90.0 * static_cast<double>(weights[0]) + 10.0 * static_cast<double>(weights[1]) ==
          doctest::Approx(100).epsilon(1e-5));
    const auto ratio = static_cast<double>(weights[1]) / static_cast<double>(weights[0]);
    CHECK(ratio == doctest::Approx((1 - std::pow(beta, 90)) / (1 - std::pow(beta, 10))).epsilon(1e-3));
  }
  CHECK(static_cast<double>(loss_weights(settings, histogram)[1] / loss_weights(settings, histogram)[0]) ==
        doctest::Approx(9).epsilon(1e-3));
}
