#include <algorithm>

#include "learning/torch/jobs.hpp"
#include "learning/torch/thread_limits.hpp"

namespace fl {

using Clock = std::chrono::steady_clock;

namespace {

/// Samples. Larger ones run no faster, and from 256 on the activations of the simple_cnn outgrow what the C
/// library keeps (memory_policy.cpp), and a sample takes twice as long.
constexpr auto kEvaluationBatch = std::size_t{128};

/// Of a tensor on the host, without gaps; empty where it is undefined.
template <class Value>
std::span<const Value> values_of(const at::Tensor& tensor) {
  if (!tensor.defined()) return {};
  return {tensor.data_ptr<Value>(), static_cast<std::size_t>(tensor.numel())};
}

}  // namespace

TorchEvaluationJob::TorchEvaluationJob(std::shared_ptr<WorkspacePool> pool, std::uint32_t threads,
                                       LossName loss, ParametersPtr model,
                                       std::shared_ptr<const DataView> data)
    : pool_(std::move(pool)),
      threads_(threads),
      loss_(loss),
      model_(std::move(model)),
      data_(std::move(data)),
      batch_(pool_->network().sample_shape(), pool_->device()),
      labels_(data_->dataset->classes()) {}

bool TorchEvaluationJob::run_slice(Clock::time_point until) {
  const auto no_grad = at::NoGradGuard();
  limit_threads(threads_);
  if (!pass_) {
    const auto& network = pool_->network();
    auto values = tensor_over(model_->values()).to(pool_->device());
    // Others read the model too, and a module may change its buffers even now.
    const auto has_buffers = [](const auto& entry) { return entry.kind == EntryKind::buffer; };
    if (std::ranges::any_of(network.layout()->entries(), has_buffers)) values = values.clone();
    pass_ = network.bind(views_of(values, *network.layout()));
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
  const auto outputs = pass_->forward(batch_.features(), {}).to(at::kFloat);
  loss_sum_ += loss_of_each(loss_, outputs, batch_.targets()).sum(at::kDouble).item<double>();
  if (is_classification(loss_)) {
    const auto labels = batch_.targets().cpu();
    const auto said = labels_said(loss_, outputs).cpu();
    const auto scores =
        data_->dataset->classes() == 2 ? score_of_class_1(loss_, outputs).cpu() : at::Tensor();
    labels_.add(values_of<std::int64_t>(labels), values_of<std::int64_t>(said), values_of<float>(scores));
  } else {
    const auto targets = batch_.targets().cpu();
    const auto predictions = outputs.reshape({-1}).contiguous().cpu();
    numbers_.add(values_of<float>(targets), values_of<float>(predictions));
  }
  done_ += count;
}

Evaluation TorchEvaluationJob::report() const {
  auto evaluation = Evaluation();
  evaluation.samples = done_;
  if (done_ == 0) return evaluation;
  evaluation.loss = loss_sum_ / static_cast<double>(done_);
  if (is_classification(loss_)) {
    evaluation.accuracy = static_cast<double>(labels_.right()) / static_cast<double>(done_);
    evaluation.metrics = labels_.metrics();
  } else {
    evaluation.metrics = numbers_.metrics();
    const auto explained = evaluation.metrics.find("r2");
    if (explained != evaluation.metrics.end()) evaluation.accuracy = std::max(0.0, explained->second);
  }
  return evaluation;
}

}  // namespace fl
