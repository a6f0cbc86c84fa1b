#include "learning/torch/local_optimizer.hpp"

#include <cmath>

namespace fl {

namespace {

// The defaults of torch.optim.Adam.
constexpr auto kBeta1 = 0.9;
constexpr auto kBeta2 = 0.999;
constexpr auto kEpsilon = 1e-8;

}  // namespace

LocalOptimizer::LocalOptimizer(const TrainingSettings& settings, Workspace& workspace)
    : settings_(settings), workspace_(workspace), adam_(settings.optimizer == "adam") {
  if (adam_ || settings_.momentum > 0) workspace_.first_moment.clear();
  if (adam_) workspace_.second_moment.clear();
  if (!settings_.masked) return;
  const auto no_grad = at::NoGradGuard();
  for (const auto& x : workspace_.parameters.views)
    masks_.push_back(x.dim() >= 2 ? x.ne(0).to(at::kFloat) : at::Tensor());
}

void LocalOptimizer::step(const std::vector<at::Tensor>& gradients) {
  const auto no_grad = at::NoGradGuard();
  ++steps_;
  for (auto i = std::size_t{0}; i < gradients.size(); ++i) {
    if (!gradients[i].defined()) continue;  // the loss does not depend on it
    const auto entry = workspace_.entries[i];
    auto gradient = gradients[i].to(at::kFloat);
    // With no gradient a weight that is zero stays so under every rule below.
    if (settings_.masked && masks_[entry].defined()) gradient = gradient.mul(masks_[entry]);
    const auto& x = workspace_.parameters.views[entry];
    if (settings_.weight_decay > 0) gradient = gradient.add(x, settings_.weight_decay);
    if (settings_.proximal_mu > 0) {
      gradient = gradient.add(x - workspace_.base.views[entry], settings_.proximal_mu);
    }
    if (adam_) {
      step_adam(entry, gradient);
    } else {
      step_sgd(entry, gradient);
    }
  }
  workspace_.refresh_weights();
}

void LocalOptimizer::step_sgd(std::size_t entry, at::Tensor gradient) {
  if (settings_.momentum > 0) {
    auto& moment = workspace_.first_moment.views[entry];
    moment.mul_(settings_.momentum).add_(gradient);
    gradient = settings_.nesterov ? gradient.add(moment, settings_.momentum) : moment;
  }
  workspace_.parameters.views[entry].add_(gradient, -settings_.learning_rate);
}

void LocalOptimizer::step_adam(std::size_t entry, const at::Tensor& gradient) {
  auto& m = workspace_.first_moment.views[entry];
  auto& v = workspace_.second_moment.views[entry];
  m.mul_(kBeta1).add_(gradient, 1 - kBeta1);
  v.mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
  const auto steps = static_cast<double>(steps_);
  const auto m_bias = 1 - std::pow(kBeta1, steps);
  const auto v_bias = 1 - std::pow(kBeta2, steps);
  const auto divisor = v.sqrt().div_(std::sqrt(v_bias)).add_(kEpsilon);
  workspace_.parameters.views[entry].addcdiv_(m, divisor, -settings_.learning_rate / m_bias);
}

}  // namespace fl
