// A model as something that computes: its layout, how it begins, and a forward pass over tensors that others
// own, so that one network serves any number of jobs.
#pragma once

#include <torch/script.h>
#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "learning/parameters.hpp"
#include "learning/trainer.hpp"

namespace fl {

/// How a forward pass is meant.
struct PassMode {
  bool training = false;   ///< dropout drops, batch norm takes the batch's statistics and moves its buffers
  std::uint64_t seed = 0;  ///< of what is drawn while training
};

/// A network bound to the tensors of one model. For one thread at a time.
class BoundNetwork {
 public:
  virtual ~BoundNetwork() = default;

  /// Outputs of `x` [N, sample shape…]. While training, buffers among the tensors are changed in place.
  virtual at::Tensor forward(const at::Tensor& x, const PassMode& mode) = 0;

  /// Before another model's values are in the tensors: nothing is left of the one before.
  virtual void begin() {}
};

/// One architecture. Immutable, thread-safe.
class Network {
 public:
  /// `outputs` of a sample: classes, or 1.
  Network(LayoutPtr layout, std::vector<std::int64_t> sample_shape, std::int64_t outputs)
      : layout_(std::move(layout)), sample_shape_(std::move(sample_shape)), outputs_(outputs) {}
  virtual ~Network() = default;

  const LayoutPtr& layout() const { return layout_; }
  const std::vector<std::int64_t>& sample_shape() const { return sample_shape_; }
  std::int64_t outputs() const { return outputs_; }

  /// The model that a run begins with; the same for the same seed.
  virtual Parameters initial_parameters(std::uint64_t seed) const = 0;

  /// `tensors` in the order of the layout, of one type and device; those of trainable entries are what
  /// gradients are taken for.
  virtual std::unique_ptr<BoundNetwork> bind(std::vector<at::Tensor> tensors) const = 0;

  /// Whether batches of one sample are to be avoided: batch norm has nothing to normalise there.
  virtual bool wants_pairs() const { return false; }

  /// Where the inputs are indices, such as those of characters: how many there are, from 0. None: any number.
  virtual std::optional<std::int64_t> input_indices() const { return std::nullopt; }

  /// The model as a module of TorchScript, in evaluation mode. Throws c10::Error where that fails.
  virtual torch::jit::Module scripted(const Parameters& model) const = 0;

 private:
  LayoutPtr layout_;
  std::vector<std::int64_t> sample_shape_;
  std::int64_t outputs_;
};

using NetworkPtr = std::shared_ptr<const Network>;

/// The built-in network `options.model`, for `options.sample_shape` and `options.classes`; see networks.cpp.
/// Fails with `bad_config`.
Result<NetworkPtr> make_network(const TrainerOptions& options);

/// The network in the TorchScript file `options.model_file`; see script_network.cpp. Fails with `bad_config`,
/// naming the file and what does not fit.
Result<NetworkPtr> load_network(const TrainerOptions& options);

/// Where the network's inputs are indices, whether those of `data` are. Fails with `bad_data`, naming a row.
Result<void> check_indices(const Network& network, const DataView& data);

/// `flat` [layout.size()] cut into views in the shapes of the layout.
std::vector<at::Tensor> views_of(const at::Tensor& flat, const Layout& layout);

/// A model's values as a tensor over the same memory, to be read only.
at::Tensor tensor_over(std::span<const float> values);

}  // namespace fl
