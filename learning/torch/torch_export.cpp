#include "learning/torch/torch_export.hpp"

#include <torch/script.h>
#include <unistd.h>

namespace fl {

namespace {

/// A C++ torch::nn::Module cannot be scripted: the module is put together from its parameters and its source.
torch::jit::Module scripted(const Network& network, const Parameters& model) {
  auto module = torch::jit::Module("Model");
  const auto values = views_of(tensor_over(model.values()), *network.layout());
  auto next = values.begin();
  for (const auto& layer : network.layers()) {
    if (!layer.has_parameters()) continue;
    auto part = torch::jit::Module("Layer_" + layer.name);
    part.register_parameter("weight", (next++)->clone(), /*is_buffer=*/false);
    part.register_parameter("bias", (next++)->clone(), /*is_buffer=*/false);
    module.register_module(layer.name, part);
  }
  module.define(network.script());
  return module;
}

}  // namespace

Result<void> write_torchscript(const Network& network, const Parameters& model,
                               const std::filesystem::path& file) {
  auto temporary = file;
  temporary += std::filesystem::path::string_type(".").append(std::to_string(::getpid())).append(".tmp");
  try {
    scripted(network, model).save(temporary.string());
  } catch (const c10::Error& error) {
    auto ignored = std::error_code();
    std::filesystem::remove(temporary, ignored);
    return fail(ec::io_failed,
                "cannot write the model to '" + temporary.string() + "': " + error.what_without_backtrace());
  }
  auto error = std::error_code();
  std::filesystem::rename(temporary, file, error);
  if (error)
    return fail(ec::io_failed,
                "cannot rename '" + temporary.string() + "' to '" + file.string() + "': " + error.message());
  return {};
}

}  // namespace fl
