// A model as data: a list of layers, from which its layout, its initial parameters, its forward pass and its
// TorchScript source all follow. Parameters are given to the forward pass, not owned, so one network serves
// any number of jobs.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "learning/parameters.hpp"
#include "learning/trainer.hpp"

namespace fl {

enum class LayerKind : std::uint8_t {
  convolution,  ///< square kernel, stride 1: [N, in, H, W] → [N, out, H', W']
  linear,       ///< [N, in] → [N, out]
  relu,
  max_pool,  ///< 2 × 2, stride 2
  flatten,   ///< [N, …] → [N, ·]
};

struct Layer {
  LayerKind kind = LayerKind::relu;
  std::string name = {};  ///< of its parameters: "<name>.weight", "<name>.bias"; empty where there are none
  std::int64_t in = 0;
  std::int64_t out = 0;
  std::int64_t kernel = 0;
  std::int64_t padding = 0;

  bool has_parameters() const { return kind == LayerKind::convolution || kind == LayerKind::linear; }
};

/// One architecture. Immutable, thread-safe.
class Network {
 public:
  Network(std::vector<Layer> layers, std::vector<std::int64_t> sample_shape, std::int64_t classes);

  const LayoutPtr& layout() const { return layout_; }
  const std::vector<Layer>& layers() const { return layers_; }
  const std::vector<std::int64_t>& sample_shape() const { return sample_shape_; }
  std::int64_t classes() const { return classes_; }

  /// PyTorch's default for linear and convolution: weights and biases ~ U(−b, b), b = 1 / √fan_in, drawn in
  /// the order of the layout from a generator of its own; torch.manual_seed(seed) and the same modules give
  /// the same values up to rounding.
  Parameters initial_parameters(std::uint64_t seed) const;

  /// Logits [N, classes] of `x` [N, sample shape…]; `parameters` in the order of the layout, of x's type and
  /// device.
  at::Tensor forward(at::Tensor x, const std::vector<at::Tensor>& parameters) const;

  /// The forward pass as TorchScript source, `def forward(self, x)`.
  std::string script() const;

 private:
  std::vector<Layer> layers_;
  std::vector<std::int64_t> sample_shape_;
  std::int64_t classes_;
  LayoutPtr layout_;
};

/// The built-in network `options.model`, for `options.sample_shape` and `options.classes`; see networks.cpp.
/// Fails with `bad_config`.
Result<Network> make_network(const TrainerOptions& options);

/// `flat` [layout.size()] cut into views in the shapes of the layout.
std::vector<at::Tensor> views_of(const at::Tensor& flat, const Layout& layout);

/// A model's values as a tensor over the same memory, to be read only.
at::Tensor tensor_over(std::span<const float> values);

}  // namespace fl
