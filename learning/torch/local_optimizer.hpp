// How a client steps: SGD and Adam as torch.optim has them, with FedProx's pull towards the base.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "learning/torch/workspace.hpp"
#include "messages/training.hpp"

namespace fl {

/// Updates the parameters of a workspace in place, outside autograd:
///
///   g = ∂loss/∂x + λ x + µ (x − x_base)                        weight decay λ, FedProx µ (1812.06127,
///   equation 2) sgd   m = ρ m + g;  g = nesterov ? g + ρ m : m;  x −= η g   (momentum ρ) adam  m = β1 m +
///   (1−β1) g;  v = β2 v + (1−β2) g²;  x −= η m̂ / (√v̂ + ε)   (Kingma and Ba 2015)
class LocalOptimizer {
 public:
  /// Clears the moments it needs. The workspace outlives the optimiser, and its base is loaded when µ > 0.
  LocalOptimizer(const TrainingSettings& settings, Workspace& workspace);

  /// One step; `gradients` of Workspace::trained, undefined for those that the loss does not depend on. May
  /// write to the gradients.
  void step(const std::vector<at::Tensor>& gradients);

 private:
  void step_sgd(std::size_t entry, at::Tensor gradient);
  void step_adam(std::size_t entry, const at::Tensor& gradient);

  TrainingSettings settings_;
  Workspace& workspace_;
  bool adam_ = false;
  std::uint64_t steps_ = 0;
  std::vector<at::Tensor> masks_;  ///< of the layout's tensors; undefined: nothing is masked
};

}  // namespace fl
