#include "learning/quality.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "learning/random.hpp"

using namespace fl;

TEST_CASE("labels: values worked out by hand") {
  auto binary = LabelQuality(2);
  const auto labels = std::vector<std::int64_t>{0, 0, 1, 1, 0, 1, 1, 0};
  const auto scores = std::vector<float>{0.1f, 0.4f, 0.35f, 0.8f, 0.4f, 0.7f, 0.4f, 0.9f};
  auto said = std::vector<std::int64_t>();
  for (const auto score : scores) said.push_back(score > 0.5f);
  binary.add(labels, said, scores);
  CHECK(binary.right() == 5);
  const auto metrics = binary.metrics();
  CHECK(metrics.at("f1") == doctest::Approx(4.0 / 7));
  CHECK(metrics.at("auroc") == doctest::Approx(9.0 / 16));
  CHECK(metrics.at("auprc") == doctest::Approx(0.25 * (1.0 / 2 + 2.0 / 3 + 3.0 / 6 + 4.0 / 7)));

  auto three = LabelQuality(4);
  const auto truth = std::vector<std::int64_t>{0, 1, 2, 0, 1, 2};
  const auto guess = std::vector<std::int64_t>{0, 2, 1, 0, 0, 1};
  three.add(truth, guess, {});
  CHECK(three.metrics().at("f1") == doctest::Approx(0.8 / 3));  // class 3 does not occur
  CHECK(three.metrics().size() == 1);
}

TEST_CASE("labels: ranks against counting all pairs") {
  auto random = RandomStream(3);
  for (auto round = 0; round < 20; ++round) {
    auto quality = LabelQuality(2);
    auto labels = std::vector<std::int64_t>();
    auto scores = std::vector<float>();
    for (auto i = 0; i < 60; ++i) {
      labels.push_back(static_cast<std::int64_t>(random.below(2)));
      scores.push_back(static_cast<float>(random.below(12)));  // ties
    }
    quality.add(labels, labels, scores);
    auto right = 0.0;
    auto pairs = 0.0;
    for (std::size_t i = 0; i < labels.size(); ++i)
      for (std::size_t j = 0; j < labels.size(); ++j) {
        if (labels[i] != 1 || labels[j] != 0) continue;
        ++pairs;
        right += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
      }
    CHECK(quality.metrics().at("auroc") == doctest::Approx(right / pairs));
  }
}

TEST_CASE("labels: what cannot be said is not said") {
  auto quality = LabelQuality(2);
  CHECK(quality.metrics().empty());
  const auto zeros = std::vector<std::int64_t>{0, 0};
  const auto scores = std::vector<float>{0.1f, 0.2f};
  quality.add(zeros, zeros, scores);
  CHECK_FALSE(quality.metrics().contains("auroc"));
  CHECK_FALSE(quality.metrics().contains("f1"));

  auto diverged = LabelQuality(2);
  const auto labels = std::vector<std::int64_t>{0, 1, 1};
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  diverged.add(labels, labels, std::vector<float>{0.5f, nan, nan});
  CHECK_FALSE(diverged.metrics().contains("auroc"));
  CHECK(diverged.metrics().contains("f1"));
}

TEST_CASE("numbers: errors and explained variance") {
  auto quality = NumberQuality();
  CHECK(quality.metrics().empty());
  const auto targets = std::vector<float>{3, -0.5f, 2, 7};
  const auto predictions = std::vector<float>{2.5f, 0, 2, 8};
  quality.add(std::span(targets).first(2), std::span(predictions).first(2));
  quality.add(std::span(targets).subspan(2), std::span(predictions).subspan(2));
  const auto metrics = quality.metrics();
  CHECK(metrics.at("mae") == doctest::Approx(0.5));
  CHECK(metrics.at("rmse") == doctest::Approx(0.6123724357));
  CHECK(metrics.at("r2") == doctest::Approx(0.9486081370));

  auto constant = NumberQuality();
  const auto same = std::vector<float>{2, 2};
  constant.add(same, predictions);
  CHECK_FALSE(constant.metrics().contains("r2"));
  auto diverged = NumberQuality();
  const auto infinite = std::vector<float>{std::numeric_limits<float>::infinity(), 0};
  diverged.add(same, infinite);
  CHECK(diverged.metrics().empty());
}
