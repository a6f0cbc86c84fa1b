// Training and evaluation as jobs of torch.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "learning/quality.hpp"
#include "learning/torch/augmentation.hpp"
#include "learning/torch/batch_order.hpp"
#include "learning/torch/local_optimizer.hpp"
#include "learning/torch/loss.hpp"
#include "learning/torch/workspace.hpp"
#include "learning/trainer.hpp"

namespace fl {

/// Trains from `base`. Takes a workspace when it begins and gives it back when its update is written or it is
/// dropped.
class TorchTrainingJob final : public TrainingJob {
 public:
  /// Arguments that have been checked.
  TorchTrainingJob(std::shared_ptr<WorkspacePool> pool, std::uint32_t threads, LossName loss,
                   const TrainingSettings& settings, ParametersPtr base, std::shared_ptr<const DataView> data,
                   std::uint64_t stream_seed);

  bool run_slice(std::chrono::steady_clock::time_point until) override;
  TrainingReport report() const override;
  void stop() override { steps_wanted_ = steps_; }
  void write_update(std::span<float> out, bool whole_model) override;

 private:
  void begin();
  void step();
  at::Tensor loss_of(const at::Tensor& outputs) const;

  std::shared_ptr<WorkspacePool> pool_;
  std::uint32_t threads_;
  LossName loss_;
  TrainingSettings settings_;
  ParametersPtr base_;
  std::shared_ptr<const DataView> data_;
  BatchOrder order_;
  std::optional<Augmentation> augmentation_;
  RandomStream augmentation_random_;
  std::uint64_t dropout_seed_;
  at::Tensor class_weights_;  ///< [classes] on the device; undefined: all samples count alike
  std::uint64_t steps_wanted_;
  std::uint64_t steps_ = 0;
  WorkspacePool::Loan workspace_;
  std::optional<LocalOptimizer> optimizer_;
  at::Tensor loss_sum_;  ///< float64 on the device, so that no step waits for it
  TrainingReport report_;
};

/// Evaluates `model` in float32, whatever the precision of training.
class TorchEvaluationJob final : public EvaluationJob {
 public:
  TorchEvaluationJob(std::shared_ptr<WorkspacePool> pool, std::uint32_t threads, LossName loss,
                     ParametersPtr model, std::shared_ptr<const DataView> data);

  bool run_slice(std::chrono::steady_clock::time_point until) override;
  Evaluation report() const override;

 private:
  void step();

  std::shared_ptr<WorkspacePool> pool_;
  std::uint32_t threads_;
  LossName loss_;
  ParametersPtr model_;
  std::shared_ptr<const DataView> data_;
  std::unique_ptr<BoundNetwork> pass_;
  Batch batch_;
  std::size_t done_ = 0;
  double loss_sum_ = 0;
  LabelQuality labels_;
  NumberQuality numbers_;
};

}  // namespace fl
