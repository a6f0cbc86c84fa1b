// The memory one training job needs, kept for the next job when it ends.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "learning/data/dataset.hpp"
#include "learning/parameters.hpp"
#include "learning/torch/augmentation.hpp"
#include "learning/torch/network.hpp"

namespace fl {

/// Float32 values of a whole model on the device: one flat tensor, and a view of it for each entry of the
/// layout. Takes memory when first loaded or cleared.
class FlatModel {
 public:
  FlatModel(LayoutPtr layout, at::Device device) : layout_(std::move(layout)), device_(device) {}

  void load(const Parameters& values);
  void clear();

  const at::Tensor& flat() const { return flat_; }
  std::vector<at::Tensor> views;

 private:
  void allocate();

  LayoutPtr layout_;
  at::Device device_;
  at::Tensor flat_;
};

/// One batch of samples, gathered into memory that is taken once.
class Batch {
 public:
  Batch(std::vector<std::int64_t> sample_shape, at::Device device)
      : shape_(std::move(sample_shape)), device_(device) {}

  /// Copies the rows; `features` and `targets` hold them until the next call.
  void gather(const Dataset& dataset, std::span<const std::uint32_t> rows);

  /// Changes all samples of the batch at random, or those at these places.
  void augment(const Augmentation& augmentation, RandomStream& random);
  void augment(const Augmentation& augmentation, RandomStream& random, std::span<const std::int64_t> places);

  const at::Tensor& features() const { return features_; }  ///< [N, sample shape…], float32, on the device
  const at::Tensor& targets() const {
    return targets_;
  }  ///< [N], labels (int64) or numbers (float32), there too

 private:
  std::vector<std::int64_t> shape_;
  at::Device device_;
  at::Tensor feature_memory_;  ///< [capacity, sample shape…], on the host
  at::Tensor target_memory_;   ///< [capacity], on the host
  at::Tensor features_;
  at::Tensor targets_;
};

/// What a training job computes with. The forward pass uses tensors of the model, the optimiser changes
/// `parameters`: in fp32 they are the same memory, in bf16 the tensors are a rounded copy, so that small
/// steps are not lost to rounding. The whole pass runs in bf16, without autocast's casts at each operation:
/// 18 instead of 23 ms a step of the simple_cnn.
struct Workspace {
  Workspace(const Network& network, at::Device device, at::ScalarType precision);

  /// Begins at `base`; keeps it on the device when `keep_base` (FedProx).
  void load(const Parameters& base_values, bool keep_base);

  /// Makes the tensors follow `parameters`.
  void refresh_weights();

  FlatModel parameters;
  FlatModel base;
  FlatModel first_moment;
  FlatModel second_moment;
  std::vector<at::Tensor> trained;     ///< of the trainable entries: leaves of autograd
  std::vector<std::size_t> entries;    ///< their places in the layout
  std::unique_ptr<BoundNetwork> pass;  ///< over all tensors of the model
  Batch batch;

 private:
  const Network& network_;  ///< of the pool, which outlives this
  at::ScalarType precision_;
  at::Tensor rounded_;  ///< flat, in bf16; undefined in fp32
};

/// Lends workspaces and takes them back: there are never more than jobs under way at once. Thread-safe.
class WorkspacePool : public std::enable_shared_from_this<WorkspacePool> {
 public:
  WorkspacePool(NetworkPtr network, at::Device device, at::ScalarType precision);

  struct Return {
    std::shared_ptr<WorkspacePool> pool;
    void operator()(Workspace* workspace) const;
  };
  using Loan = std::unique_ptr<Workspace, Return>;

  Loan borrow();

  const Network& network() const { return *network_; }
  at::Device device() const { return device_; }
  at::ScalarType precision() const { return precision_; }

 private:
  const NetworkPtr network_;
  const at::Device device_;
  const at::ScalarType precision_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Workspace>> free_;
};

}  // namespace fl
