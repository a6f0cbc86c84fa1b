// Steps of the optimisers, computed by hand on logistic regression.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "fixtures.hpp"
#include "learning/data/balance.hpp"

using namespace fl;
using namespace fl::torch_tests;

namespace {

constexpr auto kInputs = std::size_t{3};
constexpr auto kClasses = std::size_t{2};
constexpr auto kWeights = kInputs * kClasses;

/// ∂(mean cross-entropy)/∂(W, b) of logistic regression over all rows: (softmax(Wx + b) − y) xᵀ, in double.
/// Samples count by `weights` of their class; empty: alike.
std::vector<double> gradient(const std::vector<double>& parameters, const DataView& data,
                             const std::vector<float>& weights) {
  auto sum = std::vector<double>(parameters.size());
  auto x = std::vector<float>(kInputs);
  auto label = std::vector<std::int64_t>(1);
  for (const auto row : data.rows) {
    data.dataset->gather(std::span(&row, 1), x, label);
    double p[kClasses];
    auto total = 0.0;
    for (auto c = std::size_t{0}; c < kClasses; ++c) {
      p[c] = parameters[kWeights + c];
      for (auto j = std::size_t{0}; j < kInputs; ++j) p[c] += parameters[c * kInputs + j] * x[j];
      p[c] = std::exp(p[c]);
      total += p[c];
    }
    for (auto c = std::size_t{0}; c < kClasses; ++c) {
      const auto counts =
          weights.empty() ? 1.0 : static_cast<double>(weights[static_cast<std::size_t>(label[0])]);
      const auto error = counts * (p[c] / total - (label[0] == static_cast<std::int64_t>(c) ? 1.0 : 0.0));
      for (auto j = std::size_t{0}; j < kInputs; ++j) sum[c * kInputs + j] += error * x[j];
      sum[kWeights + c] += error;
    }
  }
  for (auto& value : sum) value /= static_cast<double>(data.size());
  return sum;
}

/// The parameters after full-batch steps from `base`, by the formulas in learning/torch/local_optimizer.hpp.
std::vector<double> by_hand(const TrainingSettings& s, const Parameters& base, const DataView& data) {
  const auto start = std::vector<double>(base.values().begin(), base.values().end());
  auto x = start;
  auto m = std::vector<double>(x.size());
  auto v = std::vector<double>(x.size());
  for (auto step = std::uint32_t{1}; step <= s.steps; ++step) {
    const auto slope = gradient(x, data, loss_weights(s.balance, data.label_histogram()));
    for (auto i = std::size_t{0}; i < x.size(); ++i) {
      auto g = slope[i] + s.weight_decay * x[i] + s.proximal_mu * (x[i] - start[i]);
      if (s.optimizer == "adam") {
        m[i] = 0.9 * m[i] + 0.1 * g;
        v[i] = 0.999 * v[i] + 0.001 * g * g;
        const auto m_hat = m[i] / (1 - std::pow(0.9, step));
        const auto v_hat = v[i] / (1 - std::pow(0.999, step));
        x[i] -= s.learning_rate * m_hat / (std::sqrt(v_hat) + 1e-8);
        continue;
      }
      m[i] = s.momentum * m[i] + g;
      x[i] -= s.learning_rate * (s.nesterov ? g + s.momentum * m[i] : m[i]);
    }
  }
  return x;
}

void check_against_hand(const TrainingSettings& settings) {
  const auto trainer = trainer_of("logistic", {static_cast<std::int64_t>(kInputs)}, kClasses);
  const auto data = blobs({static_cast<std::int64_t>(kInputs)}, kClasses, 16);
  const auto base = initial(*trainer);
  const auto expected = by_hand(settings, *base, *data);
  const auto trained = train(*trainer, settings, base, data, /*whole_model=*/true);
  for (auto i = std::size_t{0}; i < trained.size(); ++i) {
    CHECK(static_cast<double>(trained[i]) == doctest::Approx(expected[i]).epsilon(1e-5));
  }
}

/// Three steps over all samples at once.
TrainingSettings full_batch() {
  auto settings = TrainingSettings();
  settings.steps = 3;
  settings.batch_size = 16;
  settings.learning_rate = 0.1;
  return settings;
}

}  // namespace

TEST_CASE("plain SGD follows the gradient") {
  check_against_hand(full_batch());
}

TEST_CASE("SGD with momentum") {
  auto settings = full_batch();
  settings.momentum = 0.9;
  check_against_hand(settings);
  SUBCASE("Nesterov's") {
    settings.nesterov = true;
    check_against_hand(settings);
  }
}

TEST_CASE("weight decay pulls to zero and FedProx to the base") {
  auto settings = full_batch();
  settings.weight_decay = 0.3;
  check_against_hand(settings);
  settings.proximal_mu = 2;
  check_against_hand(settings);
  settings.momentum = 0.5;
  check_against_hand(settings);
}

TEST_CASE("the class-balanced loss weighs samples by their labels") {
  auto settings = full_batch();
  settings.balance.loss_beta = 0.9;
  check_against_hand(settings);
}

TEST_CASE("Adam, with its bias correction") {
  auto settings = full_batch();
  settings.optimizer = "adam";
  settings.learning_rate = 0.01;
  check_against_hand(settings);
  settings.weight_decay = 0.1;
  check_against_hand(settings);
}

TEST_CASE("a larger FedProx term ends nearer to the base") {
  const auto trainer = trainer_of("logistic", {3}, 2);
  const auto data = blobs({3}, 2, 64);
  const auto base = initial(*trainer);
  const auto norm = [&](double mu) {
    auto settings = TrainingSettings();
    settings.epochs = 20;
    settings.proximal_mu = mu;
    auto sum = 0.0;
    for (const auto value : train(*trainer, settings, base, data))
      sum += static_cast<double>(value) * static_cast<double>(value);
    return std::sqrt(sum);
  };
  CHECK(norm(10) < 0.5 * norm(0));
}

TEST_CASE("moments do not survive into the next job, which gets the same memory") {
  const auto trainer = trainer_of("logistic", {3}, 2);
  const auto data = blobs({3}, 2, 64);
  const auto base = initial(*trainer);
  auto settings = TrainingSettings();
  settings.momentum = 0.9;
  const auto first = train(*trainer, settings, base, data);
  CHECK(train(*trainer, settings, base, data) == first);
  settings.optimizer = "adam";
  settings.momentum = 0;
  const auto adam = train(*trainer, settings, base, data);
  CHECK(train(*trainer, settings, base, data) == adam);
}
