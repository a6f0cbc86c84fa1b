#include "learning/torch/workspace.hpp"

#include <utility>

namespace fl {

void FlatModel::allocate() {
  if (flat_.defined()) return;
  flat_ = at::empty({static_cast<std::int64_t>(layout_->size())}, at::device(device_).dtype(at::kFloat));
  views = views_of(flat_, *layout_);
}

void FlatModel::load(const Parameters& values) {
  allocate();
  flat_.copy_(tensor_over(values.values()));
}

void FlatModel::clear() {
  allocate();
  flat_.zero_();
}

void Batch::gather(const Dataset& dataset, std::span<const std::uint32_t> rows) {
  const auto count = static_cast<std::int64_t>(rows.size());
  if (!feature_memory_.defined() || feature_memory_.size(0) < count) {
    auto shape = std::vector<std::int64_t>{count};
    shape.insert(shape.end(), shape_.begin(), shape_.end());
    feature_memory_ = at::empty(shape, at::kFloat);
    target_memory_ = at::empty({count}, dataset.has_labels() ? at::kLong : at::kFloat);
  }
  features_ = feature_memory_.narrow(0, 0, count);
  targets_ = target_memory_.narrow(0, 0, count);
  const auto features = std::span(features_.data_ptr<float>(), static_cast<std::size_t>(features_.numel()));
  if (dataset.has_labels())
    dataset.gather(rows, features, {targets_.data_ptr<std::int64_t>(), rows.size()});
  else
    dataset.gather(rows, features, std::span(targets_.data_ptr<float>(), rows.size()));
  features_ = features_.to(device_);
  targets_ = targets_.to(device_);
}

void Batch::augment(const Augmentation& augmentation, RandomStream& random) {
  features_ = augmentation.apply(features_, random);
}

void Batch::augment(const Augmentation& augmentation, RandomStream& random,
                    std::span<const std::int64_t> places) {
  if (places.empty()) return;
  const auto which =
      torch::tensor(at::ArrayRef<std::int64_t>(places.data(), places.size()), at::kLong).to(device_);
  features_.index_copy_(0, which, augmentation.apply(features_.index_select(0, which), random));
}

Workspace::Workspace(const Network& network, at::Device device, at::ScalarType precision)
    : parameters(network.layout(), device),
      base(network.layout(), device),
      first_moment(network.layout(), device),
      second_moment(network.layout(), device),
      batch(network.sample_shape(), device),
      network_(network),
      precision_(precision) {}

void Workspace::load(const Parameters& base_values, bool keep_base) {
  const auto no_grad = at::NoGradGuard();
  parameters.load(base_values);
  if (keep_base) base.load(base_values);
  if (!pass) {
    if (precision_ != at::kFloat) rounded_ = at::empty_like(parameters.flat(), precision_);
    auto tensors = std::vector<at::Tensor>();
    const auto& layout = *network_.layout();
    for (const auto& view : views_of(rounded_.defined() ? rounded_ : parameters.flat(), layout)) {
      const auto entry = tensors.size();
      // Without the version counter that views share: a module may change a buffer in place.
      tensors.push_back(view.variable_data());
      if (layout.entries()[entry].kind != EntryKind::trainable) continue;
      trained.push_back(tensors.back().set_requires_grad(true));
      entries.push_back(entry);
    }
    pass = network_.bind(std::move(tensors));
  }
  pass->begin();
  refresh_weights();
}

void Workspace::refresh_weights() {
  const auto no_grad = at::NoGradGuard();
  if (rounded_.defined()) rounded_.copy_(parameters.flat());
}

WorkspacePool::WorkspacePool(NetworkPtr network, at::Device device, at::ScalarType precision)
    : network_(std::move(network)), device_(device), precision_(precision) {}

WorkspacePool::Loan WorkspacePool::borrow() {
  const auto lock = std::scoped_lock(mutex_);
  auto back = Return{shared_from_this()};
  if (free_.empty()) return {new Workspace(*network_, device_, precision_), std::move(back)};
  auto workspace = std::move(free_.back());
  free_.pop_back();
  return {workspace.release(), std::move(back)};
}

void WorkspacePool::Return::operator()(Workspace* workspace) const {
  const auto lock = std::scoped_lock(pool->mutex_);
  pool->free_.emplace_back(workspace);
}

}  // namespace fl
