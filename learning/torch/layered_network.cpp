#include "learning/torch/layered_network.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/script.h>

#include <cmath>
#include <utility>

namespace fl {

namespace {

/// U(−b, b), b = 1 / √count.
double bound_of(std::int64_t count) {
  return 1.0 / std::sqrt(static_cast<double>(count));
}

/// An LSTM has four gates: input, forget, cell, output.
constexpr std::int64_t kGates = 4;

std::vector<LayerParameter> lstm_parameters(const Layer& layer) {
  auto all = std::vector<LayerParameter>();
  const auto rows = kGates * layer.out;
  for (auto level = std::int64_t{0}; level < layer.depth; ++level) {
    const auto ending = "_l" + std::to_string(level);
    const auto bound = bound_of(layer.out);
    all.push_back({"weight_ih" + ending, {rows, level == 0 ? layer.in : layer.out}, bound});
    all.push_back({"weight_hh" + ending, {rows, layer.out}, bound});
    all.push_back({"bias_ih" + ending, {rows}, bound});
    all.push_back({"bias_hh" + ending, {rows}, bound});
  }
  return all;
}

LayoutPtr layout_of(const std::vector<Layer>& layers) {
  auto layout = std::make_shared<Layout>();
  for (const auto& layer : layers)
    for (auto& parameter : parameters_of(layer))
      layout->add(layer.name + "." + parameter.name, std::move(parameter.shape));
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
        case LayerKind::embedding:
          x = at::embedding(*next++, x.to(at::kLong));
          break;
        case LayerKind::lstm: {
          const auto begin = at::zeros({layer.depth, x.size(0), layer.out}, x.options());
          const auto parameters = at::TensorList(&*next, parameters_of(layer).size());
          x = std::get<0>(at::lstm(x, {begin, begin}, parameters, /*has_biases=*/true, layer.depth,
                                   /*dropout=*/0, /*train=*/true, /*bidirectional=*/false,
                                   /*batch_first=*/true));
          next += static_cast<std::ptrdiff_t>(parameters.size());
          break;
        }
        case LayerKind::last:
          x = x.select(1, -1);
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

std::vector<LayerParameter> parameters_of(const Layer& layer) {
  switch (layer.kind) {
    case LayerKind::convolution: {
      const auto bound = bound_of(layer.in * layer.kernel * layer.kernel);
      return {{"weight", {layer.out, layer.in, layer.kernel, layer.kernel}, bound},
              {"bias", {layer.out}, bound}};
    }
    case LayerKind::linear:
      return {{"weight", {layer.out, layer.in}, bound_of(layer.in)},
              {"bias", {layer.out}, bound_of(layer.in)}};
    case LayerKind::embedding:
      return {{"weight", {layer.in, layer.out}, std::nullopt}};
    case LayerKind::lstm:
      return lstm_parameters(layer);
    case LayerKind::relu:
    case LayerKind::max_pool:
    case LayerKind::flatten:
    case LayerKind::last:
      return {};
  }
  return {};
}

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
    for (const auto& parameter : parameters_of(layer)) {
      const auto values = *next++;
      if (parameter.bound)
        values.uniform_(-*parameter.bound, *parameter.bound, generator);
      else
        values.normal_(0, 1, generator);
    }
  }
  return parameters;
}

std::unique_ptr<BoundNetwork> LayeredNetwork::bind(std::vector<at::Tensor> tensors) const {
  return std::make_unique<BoundLayers>(layers_, std::move(tensors));
}

std::optional<std::int64_t> LayeredNetwork::input_indices() const {
  if (layers_.front().kind != LayerKind::embedding) return std::nullopt;
  return layers_.front().in;
}

/// A C++ torch::nn::Module cannot be scripted: the module is put together from its parameters and its source.
torch::jit::Module LayeredNetwork::scripted(const Parameters& model) const {
  auto module = torch::jit::Module("Model");
  const auto values = views_of(tensor_over(model.values()), *layout());
  auto next = values.begin();
  for (const auto& layer : layers_) {
    const auto parameters = parameters_of(layer);
    if (parameters.empty()) continue;
    auto part = torch::jit::Module("Layer_" + layer.name);
    for (const auto& parameter : parameters)
      part.register_parameter(parameter.name, (next++)->clone().set_requires_grad(true), /*is_buffer=*/false);
    module.register_module(layer.name, part);
  }
  module.define(script());
  return module;
}

std::string LayeredNetwork::script() const {
  auto source = std::string("def forward(self, x):\n");
  for (const auto& layer : layers_) {
    auto parameters = std::string();
    for (const auto& parameter : parameters_of(layer))
      parameters += (parameters.empty() ? "self." : ", self.") + layer.name + "." + parameter.name;
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
      case LayerKind::embedding:
        value = "torch.embedding(" + parameters + ", x.long())";
        break;
      case LayerKind::lstm: {
        const auto depth = std::to_string(layer.depth);
        source += "    begin = torch.zeros([" + depth + ", x.size(0), " + std::to_string(layer.out) +
                  "], dtype=x.dtype, device=x.device)\n";
        value = "torch.lstm(x, [begin, begin], [" + parameters + "], True, " + depth +
                ", 0.0, True, False, True)[0]";
        break;
      }
      case LayerKind::last:
        value = "x.select(1, -1)";
        break;
    }
    source += "    x = " + value + "\n";
  }
  return source + "    return x\n";
}

}  // namespace fl
