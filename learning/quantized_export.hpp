// Post-training quantisation of a finished model: weights in 8 bits, for devices and downloads.
#pragma once

#include <cstdint>
#include <vector>

#include "learning/parameters.hpp"

namespace fl {

/// A model whose weights (tensors of two dimensions and more) are int8, each output channel (first dimension)
/// with a scale of its own: w ≈ scale · code, code in [−127, 127], to nearest (Jacob 2018, 1712.05877,
/// symmetric). What is smaller, biases and statistics, stays float32.
struct QuantizedModel {
  LayoutPtr layout;
  std::vector<std::int8_t> codes;  ///< of the weights, in the layout's order
  std::vector<float> scales;       ///< of their output channels, in the same order
  std::vector<float> rest;         ///< of everything else
};

/// The values are finite.
QuantizedModel quantized(const Parameters& model);

/// The float32 model that it stands for.
Parameters dequantized(const QuantizedModel& model);

/// Whether this tensor's values are codes: the weights that could be pruned.
bool is_quantized(const LayoutEntry& entry);

/// Its output channels.
std::uint64_t channels_of(const LayoutEntry& entry);

}  // namespace fl
