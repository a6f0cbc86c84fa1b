// A network as data: a list of layers, from which its layout, its initial parameters, its forward pass and
// its TorchScript source all follow.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "learning/torch/network.hpp"

namespace fl {

enum class LayerKind : std::uint8_t {
  convolution,  ///< square kernel, stride 1: [N, in, H, W] → [N, out, H', W']
  linear,       ///< [N, in] → [N, out]
  relu,
  max_pool,   ///< 2 × 2, stride 2
  flatten,    ///< [N, …] → [N, ·]
  embedding,  ///< indices [N, L] in [0, in), of any type → [N, L, out]; first in its network
  lstm,       ///< [N, L, in] → [N, L, out]: `depth` LSTMs of `out` units, one on the other
  last,       ///< [N, L, out] → [N, out]: the last time step
};

struct Layer {
  LayerKind kind = LayerKind::relu;
  std::string name = {};  ///< of its module, before those of its parameters; empty where there are none
  std::int64_t in = 0;
  std::int64_t out = 0;
  std::int64_t kernel = 0;
  std::int64_t padding = 0;
  std::int64_t depth = 0;
};

/// One parameter of a layer: its name within the layer's module as PyTorch has it, and how it begins.
struct LayerParameter {
  std::string name;
  std::vector<std::int64_t> shape;
  std::optional<double> bound;  ///< begins as U(−bound, bound); none: as N(0, 1)
};

/// In PyTorch's order; empty where the layer has none.
std::vector<LayerParameter> parameters_of(const Layer& layer);

class LayeredNetwork final : public Network {
 public:
  LayeredNetwork(std::vector<Layer> layers, std::vector<std::int64_t> sample_shape, std::int64_t outputs);

  /// PyTorch's defaults: weights and biases ~ U(−b, b), with b = 1 / √fan_in for linear and convolution and
  /// 1 / √units for LSTMs; embeddings ~ N(0, 1). Drawn in the order of the layout from a generator of its
  /// own; torch.manual_seed(seed) and the same modules give the same values up to rounding.
  Parameters initial_parameters(std::uint64_t seed) const override;

  std::unique_ptr<BoundNetwork> bind(std::vector<at::Tensor> tensors) const override;
  std::optional<std::int64_t> input_indices() const override;
  torch::jit::Module scripted(const Parameters& model) const override;

 private:
  std::string script() const;

  std::vector<Layer> layers_;
};

}  // namespace fl
