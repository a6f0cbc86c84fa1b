#include "tests/support/fake_trainer.hpp"

#include <cmath>
#include <utility>
#include <vector>

#include "learning/random.hpp"

namespace fl::test {

namespace {

class Training final : public TrainingJob {
 public:
  Training(ParametersPtr base, std::uint64_t samples, std::uint64_t stream_seed, double seconds)
      : base_(std::move(base)), samples_(samples), random_(stream_seed), seconds_(seconds) {}
  bool run_slice(std::chrono::steady_clock::time_point) override { return true; }
  TrainingReport report() const override { return {samples_, 1, 0.5, seconds_}; }
  /// A step of a third towards zero, and a little noise of its own stream.
  void write_update(std::span<float> out, bool whole_model) override {
    for (auto i = std::size_t{0}; i < out.size(); ++i) {
      const auto value = base_->values()[i];
      const auto delta = static_cast<float>(random_.uniform(-0.01, 0.01)) - value / 3;
      out[i] = whole_model ? value + delta : delta;
    }
  }

 private:
  ParametersPtr base_;
  std::uint64_t samples_;
  RandomStream random_;
  double seconds_;
};

/// The nearer to zero the model's first number, the better.
class Evaluating final : public EvaluationJob {
 public:
  Evaluating(ParametersPtr model, std::uint64_t samples) : model_(std::move(model)), samples_(samples) {}
  bool run_slice(std::chrono::steady_clock::time_point) override { return true; }
  Evaluation report() const override {
    const auto loss = std::abs(static_cast<double>(model_->values()[0]));
    return {0, samples_, loss, 1 / (1 + loss)};
  }

 private:
  ParametersPtr model_;
  std::uint64_t samples_;
};

}  // namespace

FakeTrainer::FakeTrainer(double seconds, LayoutPtr layout) : seconds_(seconds), layout_(std::move(layout)) {}

Parameters FakeTrainer::initial_parameters(std::uint64_t seed) const {
  auto parameters = Parameters(layout_);
  auto random = RandomStream(seed);
  for (auto& value : parameters.values()) value = static_cast<float>(random.uniform(-1, 1));
  return parameters;
}

Result<std::unique_ptr<TrainingJob>> FakeTrainer::train(const TrainingSettings&, ParametersPtr base,
                                                        std::shared_ptr<const DataView> data,
                                                        std::uint64_t stream_seed) const {
  ++trainings;
  return std::make_unique<Training>(std::move(base), data ? data->size() : 1, stream_seed, seconds_);
}

Result<std::unique_ptr<EvaluationJob>> FakeTrainer::evaluate(ParametersPtr model,
                                                             std::shared_ptr<const DataView> data) const {
  ++evaluations;
  return std::make_unique<Evaluating>(std::move(model), data->size());
}

Result<void> FakeTrainer::export_torchscript(const Parameters&, const std::filesystem::path&,
                                             const ExportTerms&) const {
  return {};
}

std::shared_ptr<const DataView> data_of(std::size_t samples) {
  auto labels = std::vector<std::int64_t>(samples);
  for (auto i = std::size_t{0}; i < samples; ++i) labels[i] = static_cast<std::int64_t>(i % 2);
  return std::make_shared<const DataView>(DataView::all(std::make_shared<const Dataset>(
      std::vector<std::int64_t>{1}, 2u, std::vector<float>(samples), std::move(labels))));
}

}  // namespace fl::test
