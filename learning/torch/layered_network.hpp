// A network as data: a list of layers, from which its layout, its initial parameters, its forward pass and
// its TorchScript source all follow.
#pragma once

#include <string>

#include "learning/torch/network.hpp"

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

class LayeredNetwork final : public Network {
 public:
  LayeredNetwork(std::vector<Layer> layers, std::vector<std::int64_t> sample_shape, std::int64_t outputs);

  /// PyTorch's default for linear and convolution: weights and biases ~ U(−b, b), b = 1 / √fan_in, drawn in
  /// the order of the layout from a generator of its own; torch.manual_seed(seed) and the same modules give
  /// the same values up to rounding.
  Parameters initial_parameters(std::uint64_t seed) const override;

  std::unique_ptr<BoundNetwork> bind(std::vector<at::Tensor> tensors) const override;
  torch::jit::Module scripted(const Parameters& model) const override;

 private:
  std::string script() const;

  std::vector<Layer> layers_;
};

}  // namespace fl
