#include "learning/torch/loss.hpp"

namespace fl {

std::int64_t outputs_of(const TrainerOptions& options) {
  return options.loss == LossName::cross_entropy ? static_cast<std::int64_t>(options.classes) : 1;
}

Result<void> check_classes(const TrainerOptions& options) {
  const auto loss = "train.loss = \"" + to_string(options.loss) + "\" ";
  const auto classes = std::to_string(options.classes);
  if (!is_classification(options.loss)) {
    if (options.classes == 0) return {};
    return fail(ec::bad_config, loss + "predicts numbers, and the data has labels of " + classes +
                                    " classes; use train.loss = \"cross_entropy\"");
  }
  if (options.classes == 0)
    return fail(ec::bad_config, loss +
                                    "predicts labels, and the data's targets are numbers; use train.loss = "
                                    "\"mse\" or \"huber\"");
  if (options.loss == LossName::bce && options.classes != 2)
    return fail(ec::bad_config, loss + "is for two classes, and the data has " + classes +
                                    "; use train.loss = \"cross_entropy\"");
  if (options.classes < 2)
    return fail(ec::bad_config, loss + "needs at least 2 classes, and the data has " + classes);
  return {};
}

at::Tensor loss_of_each(LossName loss, const at::Tensor& outputs, const at::Tensor& targets) {
  constexpr auto kNone = at::Reduction::None;
  switch (loss) {
    case LossName::cross_entropy:
      return at::cross_entropy_loss(outputs, targets, {}, kNone);
    case LossName::bce:
      return at::binary_cross_entropy_with_logits(outputs.reshape({-1}), targets.to(at::kFloat), {}, {},
                                                  kNone);
    case LossName::mse:
      return at::mse_loss(outputs.reshape({-1}), targets, kNone);
    case LossName::huber:
      return at::huber_loss(outputs.reshape({-1}), targets, kNone, /*delta=*/1.0);
  }
  return {};
}

at::Tensor labels_said(LossName loss, const at::Tensor& outputs) {
  if (loss == LossName::bce) return outputs.reshape({-1}).gt(0).to(at::kLong);
  return outputs.argmax(1);
}

at::Tensor score_of_class_1(LossName loss, const at::Tensor& outputs) {
  if (loss == LossName::bce) return outputs.reshape({-1}).contiguous();
  return (outputs.select(1, 1) - outputs.select(1, 0)).contiguous();
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  auto text = std::string("[");
  for (const auto extent : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

}  // namespace fl
