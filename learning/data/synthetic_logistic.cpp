#include "learning/data/synthetic_logistic.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "learning/random.hpp"

namespace fl {
namespace {

constexpr std::size_t kFeatures = 60;
constexpr std::size_t kLogisticClasses = 10;
constexpr double kCovarianceDecay = -1.2;
constexpr double kLogSizeMean = 4;
constexpr double kLogSizeDeviation = 2;
constexpr std::size_t kMinSamples = 50;
constexpr std::size_t kMaxSamples = 5'000;
constexpr std::size_t kTestShare = 5;  ///< one sample in so many is for testing

/// One client's model and inputs.
class Client {
 public:
  Client(double alpha, double beta, RandomStream& random) {
    const auto model_mean = alpha * random.normal();
    for (auto& weight : weights_) weight = model_mean + random.normal();
    for (auto& bias : biases_) bias = model_mean + random.normal();
    const auto input_mean = beta * random.normal();
    for (auto& mean : means_) mean = input_mean + random.normal();
    for (std::size_t j = 0; j < kFeatures; ++j) {
      deviations_[j] = std::sqrt(std::pow(static_cast<double>(j + 1), kCovarianceDecay));
    }
  }

  std::array<float, kFeatures> draw(RandomStream& random) const {
    std::array<float, kFeatures> x{};
    for (std::size_t j = 0; j < kFeatures; ++j) {
      x[j] = static_cast<float>(means_[j] + deviations_[j] * random.normal());
    }
    return x;
  }

  /// The softmax is monotone, so its largest component is that of its argument.
  std::int64_t label(const std::array<float, kFeatures>& x) const {
    auto scores = biases_;
    for (std::size_t k = 0; k < kLogisticClasses; ++k) {
      for (std::size_t j = 0; j < kFeatures; ++j) scores[k] += weights_[k * kFeatures + j] * x[j];
    }
    return std::ranges::max_element(scores) - scores.begin();
  }

 private:
  std::array<double, kLogisticClasses * kFeatures> weights_{};
  std::array<double, kLogisticClasses> biases_{};
  std::array<double, kFeatures> means_{};
  std::array<double, kFeatures> deviations_{};
};

std::size_t draw_size(RandomStream& random) {
  // Cut before the conversion: e^(4 + 2 z) need not fit an integer.
  const auto size = std::min(std::exp(kLogSizeMean + kLogSizeDeviation * random.normal()),
                             static_cast<double>(kMaxSamples));
  return std::min(static_cast<std::size_t>(size) + kMinSamples, kMaxSamples);
}

struct DrawnSamples {
  std::vector<float> features;
  std::vector<std::int64_t> labels;

  DatasetPtr to_dataset() && {
    return std::make_shared<const Dataset>(std::vector<std::int64_t>{kFeatures},
                                           static_cast<std::uint32_t>(kLogisticClasses), std::move(features),
                                           std::move(labels));
  }
};

}  // namespace

TrainTest make_synthetic_logistic(double alpha, double beta, std::uint32_t clients, std::uint64_t seed) {
  DrawnSamples train;
  DrawnSamples test;
  std::vector<std::vector<std::uint32_t>> owners(clients);
  for (std::uint32_t k = 0; k < clients; ++k) {
    RandomStream random(stream_seed(seed, "synthetic_logistic", k));
    const auto size = draw_size(random);
    const Client client(alpha, beta, random);
    // Samples are drawn independently, so that any fifth of them is a random fifth.
    for (std::size_t i = 0; i < size; ++i) {
      const auto x = client.draw(random);
      const bool is_test = i % kTestShare == 0;
      if (!is_test) owners[k].push_back(static_cast<std::uint32_t>(train.labels.size()));
      auto& samples = is_test ? test : train;
      samples.features.insert(samples.features.end(), x.begin(), x.end());
      samples.labels.push_back(client.label(x));
    }
  }
  return {.train = std::move(train).to_dataset(),
          .test = std::move(test).to_dataset(),
          .owners = std::move(owners)};
}

}  // namespace fl
