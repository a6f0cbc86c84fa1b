#include "learning/torch/layered_network.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/script.h>

#include <cmath>

namespace fl {

namespace {

std::int64_t fan_in(const Layer& layer) {
  return layer.kind == LayerKind::convolution ? layer.in * layer.kernel * layer.kernel : layer.in;
}

LayoutPtr layout_of(const std::vector<Layer>& layers) {
  auto layout = std::make_shared<Layout>();
  for (const auto& layer : layers) {
    if (!layer.has_parameters()) continue;
    auto weight = std::vector<std::int64_t>{layer.out, layer.in};
    if (layer.kind == LayerKind::convolution) weight.insert(weight.end(), 2, layer.kernel);
    layout->add(layer.name + ".weight", std::move(weight));
    layout->add(layer.name + ".bias", {layer.out});
  }
  return layout;
}

/// Images in channels-last order, which oneDNN's convolutions read and write without reordering and in which
/// pooling vectorises (0.7 instead of 6 ms): a quarter off a step of the tutorial's CNN. One channel is the
/// same memory in either order, but only its strides tell torch which is meant.
at::Tensor channels_last(const at::Tensor& x) {
  if (x.dim() != 4) return x;
  if (x.size(1) != 1) return x.contiguous(at::MemoryFormat::ChannelsLast);
  const auto height = x.size(2);
  const auto width = x.size(3);
  return x.contiguous().as_strided(x.sizes(), {height * width, 1, width, 1});
}

class BoundLayers final : public BoundNetwork {
 public:
  BoundLayers(const std::vector<Layer>& layers, std::vector<at::Tensor> tensors)
      : layers_(layers), tensors_(std::move(tensors)) {}

  at::Tensor forward(const at::Tensor& samples, const PassMode&) override {
    auto x = channels_last(samples);
    auto next = tensors_.begin();
    for (const auto& layer : layers_) {
      switch (layer.kind) {
        case LayerKind::convolution:
          x = at::conv2d(x, next[0], next[1], /*stride=*/1, layer.padding);
          next += 2;
          break;
        case LayerKind::linear:
          x = at::linear(x, next[0], next[1]);
          next += 2;
          break;
        case LayerKind::relu:
          x = at::relu_(x);
          break;  // in place: no backward pass here needs the value before it
        case LayerKind::max_pool:
          x = at::max_pool2d(x, 2);
          break;
        case LayerKind::flatten:
          x = at::flatten(x, 1);
          break;
      }
    }
    return x;
  }

 private:
  const std::vector<Layer>& layers_;  ///< of the network, which outlives this
  std::vector<at::Tensor> tensors_;
};

}  // namespace

LayeredNetwork::LayeredNetwork(std::vector<Layer> layers, std::vector<std::int64_t> sample_shape,
                               std::int64_t outputs)
    : Network(layout_of(layers), std::move(sample_shape), outputs), layers_(std::move(layers)) {}

Parameters LayeredNetwork::initial_parameters(std::uint64_t seed) const {
  const auto no_grad = at::NoGradGuard();
  auto parameters = Parameters(layout());
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  const auto views = views_of(tensor_over(parameters.values()), *layout());
  auto next = views.begin();
  for (const auto& layer : layers_) {
    if (!layer.has_parameters()) continue;
    const auto bound = 1.0 / std::sqrt(static_cast<double>(fan_in(layer)));
    (next++)->uniform_(-bound, bound, generator);
    (next++)->uniform_(-bound, bound, generator);
  }
  return parameters;
}

std::unique_ptr<BoundNetwork> LayeredNetwork::bind(std::vector<at::Tensor> tensors) const {
  return std::make_unique<BoundLayers>(layers_, std::move(tensors));
}

/// A C++ torch::nn::Module cannot be scripted: the module is put together from its parameters and its source.
torch::jit::Module LayeredNetwork::scripted(const Parameters& model) const {
  auto module = torch::jit::Module("Model");
  const auto values = views_of(tensor_over(model.values()), *layout());
  auto next = values.begin();
  for (const auto& layer : layers_) {
    if (!layer.has_parameters()) continue;
    auto part = torch::jit::Module("Layer_" + layer.name);
    part.register_parameter("weight", (next++)->clone().set_requires_grad(true), /*is_buffer=*/false);
    part.register_parameter("bias", (next++)->clone().set_requires_grad(true), /*is_buffer=*/false);
    module.register_module(layer.name, part);
  }
  module.define(script());
  return module;
}

std::string LayeredNetwork::script() const {
  auto source = std::string("def forward(self, x):\n");
  for (const auto& layer : layers_) {
    const auto parameters = "self." + layer.name + ".weight, self." + layer.name + ".bias";
    const auto padding = std::to_string(layer.padding);
    auto value = std::string();
    switch (layer.kind) {
      case LayerKind::convolution:
        value = "torch.conv2d(x, " + parameters + ", [1, 1], [" + padding + ", " + padding + "])";
        break;
      case LayerKind::linear:
        value = "torch.linear(x, " + parameters + ")";
        break;
      case LayerKind::relu:
        value = "torch.relu(x)";
        break;
      case LayerKind::max_pool:
        value = "torch.max_pool2d(x, [2, 2])";
        break;
      case LayerKind::flatten:
        value = "torch.flatten(x, 1)";
        break;
    }
    source += "    x = " + value + "\n";
  }
  return source + "    return x\n";
}

}  // namespace fl
