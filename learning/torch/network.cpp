#include "learning/torch/network.hpp"

#include <ATen/CPUGeneratorImpl.h>

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

}  // namespace

Network::Network(std::vector<Layer> layers, std::vector<std::int64_t> sample_shape, std::int64_t classes)
    : layers_(std::move(layers)),
      sample_shape_(std::move(sample_shape)),
      classes_(classes),
      layout_(layout_of(layers_)) {}

Parameters Network::initial_parameters(std::uint64_t seed) const {
  const auto no_grad = at::NoGradGuard();
  auto parameters = Parameters(layout_);
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  const auto views = views_of(tensor_over(parameters.values()), *layout_);
  auto next = views.begin();
  for (const auto& layer : layers_) {
    if (!layer.has_parameters()) continue;
    const auto bound = 1.0 / std::sqrt(static_cast<double>(fan_in(layer)));
    (next++)->uniform_(-bound, bound, generator);
    (next++)->uniform_(-bound, bound, generator);
  }
  return parameters;
}

at::Tensor Network::forward(at::Tensor x, const std::vector<at::Tensor>& parameters) const {
  x = channels_last(x);
  auto next = parameters.begin();
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

std::string Network::script() const {
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

std::vector<at::Tensor> views_of(const at::Tensor& flat, const Layout& layout) {
  auto views = std::vector<at::Tensor>();
  for (const auto& entry : layout.entries()) {
    views.push_back(
        flat.narrow(0, static_cast<std::int64_t>(entry.offset), static_cast<std::int64_t>(entry.size))
            .view(entry.shape));
  }
  return views;
}

at::Tensor tensor_over(std::span<const float> values) {
  return at::from_blob(const_cast<float*>(values.data()), {static_cast<std::int64_t>(values.size())},
                       at::kFloat);
}

}  // namespace fl
