#include <algorithm>
#include <stdexcept>

#include "learning/data/balance.hpp"
#include "learning/kernels.hpp"
#include "learning/torch/error_text.hpp"
#include "learning/torch/jobs.hpp"
#include "learning/torch/thread_limits.hpp"

namespace fl {

using Clock = std::chrono::steady_clock;

TorchTrainingJob::TorchTrainingJob(std::shared_ptr<WorkspacePool> pool, std::uint32_t threads, LossName loss,
                                   const TrainingSettings& settings, ParametersPtr base,
                                   std::shared_ptr<const DataView> data, std::uint64_t stream_seed)
    : pool_(std::move(pool)),
      threads_(threads),
      loss_(loss),
      settings_(settings),
      base_(std::move(base)),
      data_(std::move(data)),
      order_(data_->rows, settings.batch_size, stream_seed,
             rare_repeats(settings.balance, *data_, stream_seed), pool_->network().wants_pairs()),
      augmentation_random_(fl::stream_seed(stream_seed, "augment")),
      dropout_seed_(fl::stream_seed(stream_seed, "dropout")),
      steps_wanted_(settings.steps > 0 ? settings.steps : settings.epochs * order_.batches_per_epoch()) {
  if (settings.augments()) augmentation_.emplace(settings.augmentation, data_->dataset->sample_shape());
}

bool TorchTrainingJob::run_slice(Clock::time_point until) {
  const auto started = Clock::now();
  limit_threads(threads_);
  try {
    if (!workspace_ && steps_ == 0) begin();
    while (steps_ < steps_wanted_) {
      step();
      if (Clock::now() >= until) break;
    }
  } catch (const c10::Error& error) {
    throw std::runtime_error(text_of(error));
  }
  report_.samples = order_.distinct_rows();
  report_.steps = steps_;
  report_.train_loss = loss_sum_.item<double>() / static_cast<double>(steps_);  // waits for the device
  report_.compute_seconds += std::chrono::duration<double>(Clock::now() - started).count();
  return steps_ == steps_wanted_;
}

void TorchTrainingJob::begin() {
  workspace_ = pool_->borrow();
  workspace_->load(*base_, settings_.proximal_mu > 0);
  optimizer_.emplace(settings_, *workspace_);
  loss_sum_ = at::zeros({}, at::device(pool_->device()).dtype(at::kDouble));
  if (settings_.balance.loss_beta > 0)
    class_weights_ =
        torch::tensor(loss_weights(settings_.balance, data_->label_histogram())).to(pool_->device());
}

void TorchTrainingJob::step() {
  const auto grad_mode = at::AutoGradMode(true);
  auto& batch = workspace_->batch;
  const auto dealt = order_.next();
  batch.gather(*data_->dataset, dealt.rows);
  if (settings_.augmentation.all)
    batch.augment(*augmentation_, augmentation_random_);
  else if (augmentation_)
    batch.augment(*augmentation_, augmentation_random_, dealt.repeats);
  const auto mode = PassMode{true, fl::stream_seed(dropout_seed_, "step", steps_)};
  const auto outputs = workspace_->pass->forward(batch.features().to(pool_->precision()), mode);
  const auto loss = loss_of(outputs.to(at::kFloat));
  optimizer_->step(torch::autograd::grad({loss}, workspace_->trained, {}, /*retain_graph=*/c10::nullopt,
                                         /*create_graph=*/false, /*allow_unused=*/true));
  loss_sum_.add_(loss.detach());
  ++steps_;
}

/// The mean over the batch; samples of rare labels count more with train.class_balance.
at::Tensor TorchTrainingJob::loss_of(const at::Tensor& outputs) const {
  const auto& targets = workspace_->batch.targets();
  // The usual case, in one operation.
  if (loss_ == LossName::cross_entropy && !class_weights_.defined())
    return at::cross_entropy_loss(outputs, targets);
  const auto each = loss_of_each(loss_, outputs, targets);
  return (class_weights_.defined() ? each * class_weights_.index_select(0, targets) : each).mean();
}

TrainingReport TorchTrainingJob::report() const {
  return report_;
}

void TorchTrainingJob::write_update(std::span<float> out, bool whole_model) {
  const auto trained = workspace_->parameters.flat().to(at::kCPU);
  const auto values = std::span<const float>(trained.data_ptr<float>(), out.size());
  if (whole_model) {
    std::copy(values.begin(), values.end(), out.begin());
  } else {
    kernels::subtract(out, values, base_->values());
  }
  optimizer_.reset();
  workspace_.reset();
}

}  // namespace fl
