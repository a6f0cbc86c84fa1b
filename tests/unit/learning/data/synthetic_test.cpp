#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "learning/data/dataset.hpp"

using namespace fl;

namespace {

struct Samples {
  std::vector<float> features;
  std::vector<std::int64_t> labels;
  bool operator==(const Samples&) const = default;
};

Samples samples_of(const DatasetPtr& dataset) {
  const auto view = DataView::all(dataset);
  Samples samples{std::vector<float>(dataset->size() * dataset->sample_size()),
                  std::vector<std::int64_t>(dataset->size())};
  dataset->gather(view.rows, samples.features, samples.labels);
  return samples;
}

TrainTest digits(std::uint32_t train, std::uint32_t test, std::uint64_t seed) {
  auto loaded =
      load_dataset({.name = "synthetic_digits", .synthetic_train = train, .synthetic_test = test}, seed, 3);
  REQUIRE(loaded);
  return *loaded;
}

TrainTest logistic(double alpha, double beta, std::uint64_t seed, std::uint32_t clients) {
  auto loaded = load_dataset({.name = "synthetic_logistic", .logistic_alpha = alpha, .logistic_beta = beta},
                             seed, clients);
  REQUIRE(loaded);
  return *loaded;
}

constexpr std::size_t kPixels = 28 * 28;
constexpr std::size_t kClasses = 10;

/// Multinomial logistic regression by plain SGD: the linear model that the digits should not be easy for.
class LinearModel {
 public:
  void train(const Samples& samples, int epochs, float learning_rate) {
    for (int epoch = 0; epoch < epochs; ++epoch) {
      for (std::size_t i = 0; i < samples.labels.size(); ++i) {
        const auto* x = samples.features.data() + i * kPixels;
        auto error = scores(x);
        const auto highest = *std::ranges::max_element(error);
        auto sum = 0.0f;
        for (auto& value : error) sum += value = std::exp(value - highest);
        for (auto& value : error) value /= sum;
        error[static_cast<std::size_t>(samples.labels[i])] -= 1;
        for (std::size_t k = 0; k < kClasses; ++k) {
          for (std::size_t j = 0; j < kPixels; ++j) weights_[k][j] -= learning_rate * error[k] * x[j];
        }
      }
    }
  }

  double accuracy(const Samples& samples) const {
    std::size_t right = 0;
    for (std::size_t i = 0; i < samples.labels.size(); ++i) {
      const auto all = scores(samples.features.data() + i * kPixels);
      if (std::ranges::max_element(all) - all.begin() == samples.labels[i]) ++right;
    }
    return static_cast<double>(right) / static_cast<double>(samples.labels.size());
  }

 private:
  std::array<float, kClasses> scores(const float* x) const {
    std::array<float, kClasses> scores{};
    for (std::size_t k = 0; k < kClasses; ++k) {
      for (std::size_t j = 0; j < kPixels; ++j) scores[k] += weights_[k][j] * x[j];
    }
    return scores;
  }

  std::array<std::array<float, kPixels>, kClasses> weights_{};
};

double nearest_neighbour_accuracy(const Samples& train, const Samples& test) {
  std::size_t right = 0;
  for (std::size_t i = 0; i < test.labels.size(); ++i) {
    auto nearest = std::numeric_limits<float>::max();
    std::int64_t label = -1;
    for (std::size_t n = 0; n < train.labels.size(); ++n) {
      auto distance = 0.0f;
      for (std::size_t j = 0; j < kPixels; ++j) {
        const auto difference = test.features[i * kPixels + j] - train.features[n * kPixels + j];
        distance += difference * difference;
      }
      if (distance < nearest) {
        nearest = distance;
        label = train.labels[n];
      }
    }
    if (label == test.labels[i]) ++right;
  }
  return static_cast<double>(right) / static_cast<double>(test.labels.size());
}

}  // namespace

TEST_CASE("synthetic_digits looks like MNIST to whoever trains on it") {
  const auto data = digits(2'000, 300, 1);
  CHECK(data.train->size() == 2'000);
  CHECK(data.test->size() == 300);
  CHECK(data.owners.empty());
  CHECK(data.train->classes() == 10);
  CHECK(data.train->sample_shape() == std::vector<std::int64_t>{1, 28, 28});
  for (const auto count : DataView::all(data.train).label_histogram()) {
    CHECK(count > 140);
    CHECK(count < 260);
  }
  const auto samples = samples_of(data.train);
  const auto [least, most] = std::ranges::minmax(samples.features);
  CHECK(least == -1.0f);
  CHECK(most == 1.0f);
}

TEST_CASE("synthetic_digits is the same for the same seed, and a larger set begins like a smaller one") {
  const auto data = digits(50, 50, 7);
  CHECK(samples_of(data.train) == samples_of(digits(50, 20, 7).train));
  CHECK_FALSE(samples_of(data.train) == samples_of(digits(50, 50, 8).train));
  CHECK_FALSE(samples_of(data.train) == samples_of(data.test));
  auto longer = samples_of(digits(80, 20, 7).train);
  longer.features.resize(50 * kPixels);
  longer.labels.resize(50);
  CHECK(samples_of(data.train) == longer);
}

TEST_CASE("synthetic_digits can be told apart, but not well by a linear model") {
  const auto data = digits(3'000, 500, 1);
  const auto train = samples_of(data.train);
  const auto test = samples_of(data.test);
  LinearModel linear;
  // Long enough to come near its best, about 0.86 on this few samples: what it cannot learn is what is
  // tested.
  linear.train(train, 30, 0.001f);
  const auto linear_accuracy = linear.accuracy(test);
  const auto neighbour_accuracy = nearest_neighbour_accuracy(train, test);
  INFO("linear ", linear_accuracy, ", nearest neighbour ", neighbour_accuracy);
  CHECK(linear_accuracy > 0.7);
  CHECK(linear_accuracy < 0.88);
  CHECK(neighbour_accuracy > linear_accuracy + 0.05);
}

TEST_CASE("synthetic_logistic gives every client its own rows and the test set a share of each") {
  constexpr std::uint32_t kClients = 40;
  const auto data = logistic(1, 1, 1, kClients);
  CHECK(data.train->sample_shape() == std::vector<std::int64_t>{60});
  CHECK(data.train->classes() == 10);
  REQUIRE(data.owners.size() == kClients);
  std::set<std::uint32_t> owned;
  std::size_t tested = 0;
  std::set<std::size_t> sizes;
  for (const auto& rows : data.owners) {
    CHECK(rows.size() >= 40);
    CHECK(rows.size() <= 4'000);
    owned.insert(rows.begin(), rows.end());
    sizes.insert(rows.size());
    tested += (rows.size() + 3) / 4;  // the held-out fifth, rounded up
  }
  CHECK(owned.size() == data.train->size());
  CHECK(*owned.rbegin() + 1 == data.train->size());
  // Rounding loses at most one sample for each client.
  CHECK(data.test->size() >= tested);
  CHECK(data.test->size() <= tested + kClients);
  CHECK(sizes.size() > 10);
}

TEST_CASE("synthetic_logistic: a client's data depend on the seed and its index alone") {
  const auto few = logistic(1, 1, 3, 2);
  const auto many = logistic(1, 1, 3, 5);
  CHECK(few.owners[1] == many.owners[1]);
  auto begin = samples_of(many.train);
  const auto all = samples_of(few.train);
  begin.features.resize(all.features.size());
  begin.labels.resize(all.labels.size());
  CHECK(begin == all);
  CHECK_FALSE(samples_of(logistic(1, 1, 4, 2).train) == all);
}

TEST_CASE("synthetic_logistic: beta moves the inputs apart") {
  // Mean over all features of one client's inputs: N(0, β² + 1/60), so that β = 10 dwarfs β = 0.
  const auto spread = [](double beta) {
    const auto data = logistic(0, beta, 1, 30);
    auto sum = 0.0;
    for (const auto& rows : data.owners) {
      std::vector<float> features(rows.size() * 60);
      std::vector<std::int64_t> labels(rows.size());
      data.train->gather(rows, features, labels);
      auto mean = 0.0;
      for (const auto value : features) mean += value / static_cast<double>(features.size());
      sum += mean * mean;
    }
    return std::sqrt(sum / 30);
  };
  CHECK(spread(0) < 0.5);
  CHECK(spread(10) > 5);
  CHECK(spread(10) < 20);
}

TEST_CASE("synthetic_logistic: one feature's variance follows j^-1.2") {
  const auto data = logistic(0, 0, 1, 20);
  const auto& rows = *std::ranges::max_element(data.owners, {}, &std::vector<std::uint32_t>::size);
  REQUIRE(rows.size() > 500);
  std::vector<float> features(rows.size() * 60);
  std::vector<std::int64_t> labels(rows.size());
  data.train->gather(rows, features, labels);
  for (const std::size_t j : {1, 10, 60}) {
    auto sum = 0.0;
    auto squares = 0.0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const double value = features[i * 60 + j - 1];
      sum += value;
      squares += value * value;
    }
    const auto count = static_cast<double>(rows.size());
    const auto variance = squares / count - (sum / count) * (sum / count);
    CHECK(variance == doctest::Approx(std::pow(static_cast<double>(j), -1.2)).epsilon(0.25));
  }
}
