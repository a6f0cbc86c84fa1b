#include <algorithm>

#include "learning/torch/jobs.hpp"
#include "learning/torch/thread_limits.hpp"

namespace fl {

using Clock = std::chrono::steady_clock;

namespace {

/// Samples. Larger ones run no faster, and from 256 on the activations of the simple_cnn outgrow what the C
/// library keeps (memory_policy.cpp), and a sample takes twice as long.
constexpr auto kEvaluationBatch = std::size_t{128};

}  // namespace

TorchEvaluationJob::TorchEvaluationJob(std::shared_ptr<WorkspacePool> pool, std::uint32_t threads,
                                       ParametersPtr model, std::shared_ptr<const DataView> data)
    : pool_(std::move(pool)),
      threads_(threads),
      model_(std::move(model)),
      data_(std::move(data)),
      batch_(pool_->network().sample_shape(), pool_->device()) {}

bool TorchEvaluationJob::run_slice(Clock::time_point until) {
  const auto no_grad = at::NoGradGuard();
  limit_threads(threads_);
  if (weights_.empty()) {
    weights_ = views_of(tensor_over(model_->values()).to(pool_->device()), *pool_->network().layout());
  }
  while (done_ < data_->size()) {
    step();
    if (Clock::now() >= until) break;
  }
  return done_ == data_->size();
}

void TorchEvaluationJob::step() {
  const auto count = std::min(kEvaluationBatch, data_->size() - done_);
  batch_.gather(*data_->dataset, std::span(data_->rows).subspan(done_, count));
  const auto logits = pool_->network().forward(batch_.features(), weights_);
  loss_sum_ += at::cross_entropy_loss(logits, batch_.labels(), {}, at::Reduction::Sum).item<double>();
  correct_ += static_cast<std::uint64_t>(logits.argmax(1).eq(batch_.labels()).sum().item<std::int64_t>());
  done_ += count;
}

Evaluation TorchEvaluationJob::report() const {
  auto evaluation = Evaluation();
  evaluation.samples = done_;
  if (done_ == 0) return evaluation;
  evaluation.loss = loss_sum_ / static_cast<double>(done_);
  evaluation.accuracy = static_cast<double>(correct_) / static_cast<double>(done_);
  return evaluation;
}

}  // namespace fl
