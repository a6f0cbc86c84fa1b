#include <algorithm>
#include <utility>

#include "learning/trainer.hpp"

namespace fl {

namespace {

/// What every element of every update says: small, so that long runs stay finite; not zero, so that it is
/// seen to arrive.
constexpr float kEchoDelta = 1e-6f;

class EchoTraining final : public TrainingJob {
 public:
  EchoTraining(ParametersPtr base, std::uint64_t samples, double seconds)
      : base_(std::move(base)), samples_(samples), seconds_(seconds) {}

  bool run_slice(std::chrono::steady_clock::time_point) override { return true; }

  TrainingReport report() const override {
    return {.samples = samples_, .steps = 1, .train_loss = 0, .compute_seconds = seconds_};
  }

  void write_update(std::span<float> out, bool whole_model) override {
    if (whole_model) {
      std::ranges::transform(base_->values(), out.begin(), [](float x) { return x + kEchoDelta; });
    } else {
      std::ranges::fill(out, kEchoDelta);
    }
  }

 private:
  ParametersPtr base_;
  std::uint64_t samples_;
  double seconds_;
};

/// Samples 0: there is nothing to measure.
class EchoEvaluation final : public EvaluationJob {
 public:
  bool run_slice(std::chrono::steady_clock::time_point) override { return true; }
  Evaluation report() const override { return {}; }
};

class EchoTrainer final : public Trainer {
 public:
  EchoTrainer(LayoutPtr layout, double seconds) : layout_(std::move(layout)), seconds_(seconds) {}

  const LayoutPtr& layout() const override { return layout_; }

  /// Zeros for every seed.
  Parameters initial_parameters(std::uint64_t) const override { return Parameters::zeros(layout_); }

  Result<std::unique_ptr<TrainingJob>> train(const TrainingSettings&, ParametersPtr base,
                                             std::shared_ptr<const DataView> data,
                                             std::uint64_t) const override {
    if (!base || base->size() != layout_->size()) {
      return fail(ec::layout_mismatch, "the base has " + std::to_string(base ? base->size() : 0) +
                                           " floats; model.parameters says " +
                                           std::to_string(layout_->size()));
    }
    const auto samples = data && data->size() > 0 ? data->size() : 1;
    return std::make_unique<EchoTraining>(std::move(base), samples, seconds_);
  }

  Result<std::unique_ptr<EvaluationJob>> evaluate(ParametersPtr,
                                                  std::shared_ptr<const DataView>) const override {
    return std::make_unique<EchoEvaluation>();
  }

  Result<void> export_torchscript(const Parameters&, const std::filesystem::path&,
                                  const ExportTerms&) const override {
    return fail(ec::unsupported_format,
                "the model \"flat\" of train.backend = \"echo\" computes nothing to export");
  }

 private:
  LayoutPtr layout_;
  double seconds_;
};

}  // namespace

Result<TrainerPtr> make_echo_trainer(const TrainerOptions& options) {
  if (options.model != "flat") {
    return fail(ec::bad_config,
                "train.backend = \"echo\" needs model.name = \"flat\", not \"" + options.model + "\"");
  }
  if (options.model_parameters == 0) {
    return fail(ec::bad_config, "model.parameters is 0; the model \"flat\" needs at least 1");
  }
  if (!(options.echo_seconds >= 0)) {
    return fail(ec::bad_config,
                "train.echo_seconds is " + std::to_string(options.echo_seconds) + "; it must be ≥ 0");
  }
  auto layout = std::make_shared<Layout>();
  layout->add("flat", {static_cast<std::int64_t>(options.model_parameters)});
  return std::make_shared<const EchoTrainer>(std::move(layout), options.echo_seconds);
}

}  // namespace fl
