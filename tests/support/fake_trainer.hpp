// A trainer whose result is simple arithmetic: the delta depends on base, data and random stream and on
// nothing else.
#pragma once

#include <atomic>
#include <memory>

#include "learning/trainer.hpp"
#include "tests/support/small_state.hpp"

namespace fl::test {

class FakeTrainer final : public Trainer {
 public:
  /// `seconds` is what a training says it took.
  explicit FakeTrainer(double seconds = 1, LayoutPtr layout = small_layout());

  mutable std::atomic<int> trainings = 0;
  mutable std::atomic<int> evaluations = 0;

  const LayoutPtr& layout() const override { return layout_; }
  Parameters initial_parameters(std::uint64_t seed) const override;
  Result<std::unique_ptr<TrainingJob>> train(const TrainingSettings&, ParametersPtr base,
                                             std::shared_ptr<const DataView> data,
                                             std::uint64_t stream_seed) const override;
  Result<std::unique_ptr<EvaluationJob>> evaluate(ParametersPtr model,
                                                  std::shared_ptr<const DataView> data) const override;
  Result<void> export_torchscript(const Parameters&, const std::filesystem::path&,
                                  const ExportTerms&) const override;

 private:
  double seconds_;
  LayoutPtr layout_;
};

/// `samples` samples of one number each, in two classes.
std::shared_ptr<const DataView> data_of(std::size_t samples);

}  // namespace fl::test
