// The built-in networks.
//
//   simple_cnn   the tutorial's CNN: two 3 × 3 convolutions, one pooling, 128 hidden units
//                1,199,882 parameters
//   mcmahan_cnn  the CNN of McMahan 2017 (1602.05629): two 5 × 5 "same" convolutions, each pooled, 512 hidden
//                units; 1,663,370
//   mlp_2nn      the 2NN of McMahan 2017: two hidden layers of 200; 199,210 for 784 inputs
//   logistic     one linear layer: multinomial logistic regression
//   lstm_char    the character LSTM of McMahan 2017: the next character from the L before; 824,690 for a
//                vocabulary of 98
//
// ReLU stands behind max-pooling, not before it: relu(max(x)) = max(relu(x)) in value and gradient, for a
// quarter of the work: 3 of 36 ms a step of the simple_cnn.
#include <algorithm>
#include <functional>
#include <numeric>

#include "learning/torch/layered_network.hpp"
#include "learning/torch/loss.hpp"

namespace fl {

namespace {

const auto kImage = std::vector<std::int64_t>{1, 28, 28};

// Of lstm_char.
constexpr std::int64_t kCharacterDimension = 8;
constexpr std::int64_t kLstmUnits = 256;
constexpr std::int64_t kLstmDepth = 2;

Layer convolution(std::string name, std::int64_t in, std::int64_t out, std::int64_t kernel,
                  std::int64_t padding) {
  return {LayerKind::convolution, std::move(name), in, out, kernel, padding};
}

Layer linear(std::string name, std::int64_t in, std::int64_t out) {
  return {LayerKind::linear, std::move(name), in, out};
}

const Layer relu = {LayerKind::relu};
const Layer max_pool = {LayerKind::max_pool};
const Layer flatten = {LayerKind::flatten};

std::vector<Layer> simple_cnn(std::int64_t classes) {
  return {convolution("conv1", 1, 32, 3, 0),
          relu,  // [N, 32, 26, 26]
          convolution("conv2", 32, 64, 3, 0),
          max_pool,
          relu,
          flatten,  // [N, 64, 12, 12]
          linear("fc1", 64 * 12 * 12, 128),
          relu,
          linear("fc2", 128, classes)};
}

std::vector<Layer> mcmahan_cnn(std::int64_t classes) {
  return {convolution("conv1", 1, 32, 5, 2),
          max_pool,
          relu,  // [N, 32, 14, 14]
          convolution("conv2", 32, 64, 5, 2),
          max_pool,
          relu,
          flatten,  // [N, 64, 7, 7]
          linear("fc1", 64 * 7 * 7, 512),
          relu,
          linear("fc2", 512, classes)};
}

std::vector<Layer> mlp_2nn(std::int64_t inputs, std::int64_t classes) {
  return {flatten, linear("fc1", inputs, 200), relu, linear("fc2", 200, 200),
          relu,    linear("fc3", 200, classes)};
}

std::vector<Layer> logistic(std::int64_t inputs, std::int64_t classes) {
  return {flatten, linear("fc", inputs, classes)};
}

/// Indices of characters, [N, L], to logits of the one behind them, [N, classes].
std::vector<Layer> lstm_char(std::int64_t classes) {
  return {{LayerKind::embedding, "embedding", classes, kCharacterDimension},
          {.kind = LayerKind::lstm,
           .name = "lstm",
           .in = kCharacterDimension,
           .out = kLstmUnits,
           .depth = kLstmDepth},  // [N, L, 256]
          {LayerKind::last},
          linear("fc", kLstmUnits, classes)};
}

bool has_extents(const std::vector<std::int64_t>& shape) {
  return !shape.empty() && std::ranges::all_of(shape, [](auto extent) { return extent >= 1; });
}

/// bf16 has no LSTM on the CPU, and cannot tell indices above 256 apart.
Result<void> check_lstm_char(const TrainerOptions& options) {
  const auto refuse = [](const std::string& text) {
    return fail(ec::bad_config, "model.name 'lstm_char' " + text);
  };
  const auto& shape = options.sample_shape;
  if (!has_extents(shape) || shape.size() != 1)
    return refuse("takes texts, samples of shape [length], and the data has " + shape_text(shape));
  if (options.loss != LossName::cross_entropy)
    return refuse("needs train.loss = \"cross_entropy\", not \"" + to_string(options.loss) + "\"");
  if (options.precision == "bf16") return refuse("needs train.precision = \"fp32\"");
  return {};
}

}  // namespace

Result<NetworkPtr> make_network(const TrainerOptions& options) {
  const auto& model = options.model;
  if (auto ok = check_classes(options); !ok) return tl::unexpected(ok.error());
  const auto outputs = outputs_of(options);
  const auto built = [outputs](std::vector<Layer> layers, std::vector<std::int64_t> shape) {
    return std::make_shared<const LayeredNetwork>(std::move(layers), std::move(shape), outputs);
  };
  if (model == "simple_cnn" || model == "mcmahan_cnn") {
    if (!options.sample_shape.empty() && options.sample_shape != kImage) {
      return fail(ec::bad_config, "model.name '" + model + "' takes samples of shape " + shape_text(kImage) +
                                      ", and the data has " + shape_text(options.sample_shape) +
                                      "; choose 'mlp_2nn' or 'logistic', which take any");
    }
    return built(model == "simple_cnn" ? simple_cnn(outputs) : mcmahan_cnn(outputs), kImage);
  }
  if (model == "mlp_2nn" || model == "logistic") {
    const auto& shape = options.sample_shape;
    if (!has_extents(shape)) {
      return fail(ec::bad_config, "model.name '" + model +
                                      "' takes its input size from the data, whose samples have " +
                                      "the shape " + shape_text(shape));
    }
    const auto inputs = std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
    return built(model == "mlp_2nn" ? mlp_2nn(inputs, outputs) : logistic(inputs, outputs), shape);
  }
  if (model == "lstm_char") {
    if (auto ok = check_lstm_char(options); !ok) return tl::unexpected(ok.error());
    return built(lstm_char(outputs), options.sample_shape);
  }
  return fail(ec::bad_config,
              "model.name '" + model +
                  "' is unknown to the torch trainer; choose 'simple_cnn', 'mcmahan_cnn', 'mlp_2nn', "
                  "'logistic' or 'lstm_char' (or 'flat' with train.backend = 'echo')");
}

}  // namespace fl
