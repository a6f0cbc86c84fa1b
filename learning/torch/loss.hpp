// Losses over tensors, and what the outputs of a model have to be for them.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "learning/trainer.hpp"

namespace fl {

/// Outputs a sample: the classes for cross-entropy, else 1.
std::int64_t outputs_of(const TrainerOptions& options);

/// Whether the data's targets suit the loss: at least 2 classes for cross-entropy, exactly 2 for bce, numbers
/// for mse and huber. Fails with `bad_config`.
Result<void> check_classes(const TrainerOptions& options);

/// The loss of each sample, [N]. `outputs` [N, outputs] or, where there is one, also [N]; `targets` [N]:
/// labels (int64) or numbers (float32).
at::Tensor loss_of_each(LossName loss, const at::Tensor& outputs, const at::Tensor& targets);

/// The label that each output says, [N], int64. Of losses that classify.
at::Tensor labels_said(LossName loss, const at::Tensor& outputs);

/// Of two classes: rising with the probability of class 1, [N].
at::Tensor score_of_class_1(LossName loss, const at::Tensor& outputs);

/// "[1, 28, 28]"
std::string shape_text(const std::vector<std::int64_t>& shape);

}  // namespace fl
