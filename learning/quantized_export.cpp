#include "learning/quantized_export.hpp"

#include <algorithm>
#include <cmath>

#include "learning/pruning.hpp"

namespace fl {

namespace {

constexpr float kLargestCode = 127;

}  // namespace

bool is_quantized(const LayoutEntry& entry) {
  return is_prunable(entry) && entry.size > 0;
}

std::uint64_t channels_of(const LayoutEntry& entry) {
  return static_cast<std::uint64_t>(entry.shape.front());
}

QuantizedModel quantized(const Parameters& model) {
  auto result = QuantizedModel{model.layout(), {}, {}, {}};
  for (const auto& entry : model.layout()->entries()) {
    const auto values = model.values_of(entry);
    if (!is_quantized(entry)) {
      result.rest.insert(result.rest.end(), values.begin(), values.end());
      continue;
    }
    const auto size = entry.size / channels_of(entry);
    for (std::uint64_t channel = 0; channel < channels_of(entry); ++channel) {
      const auto weights = values.subspan(channel * size, size);
      auto largest = 0.0f;
      for (const auto weight : weights) largest = std::max(largest, std::abs(weight));
      const auto scale = largest / kLargestCode;
      result.scales.push_back(scale);
      for (const auto weight : weights) {
        const auto code =
            scale > 0 ? std::clamp(std::round(weight / scale), -kLargestCode, kLargestCode) : 0.0f;
        result.codes.push_back(static_cast<std::int8_t>(code));
      }
    }
  }
  return result;
}

Parameters dequantized(const QuantizedModel& model) {
  auto parameters = Parameters(model.layout);
  auto code = model.codes.begin();
  auto scale = model.scales.begin();
  auto rest = model.rest.begin();
  for (const auto& entry : model.layout->entries()) {
    const auto values = parameters.values_of(entry);
    if (!is_quantized(entry)) {
      std::copy_n(rest, entry.size, values.begin());
      rest += static_cast<std::ptrdiff_t>(entry.size);
      continue;
    }
    const auto size = entry.size / channels_of(entry);
    for (std::uint64_t i = 0; i < entry.size; ++i)
      values[i] = scale[static_cast<std::ptrdiff_t>(i / size)] * *code++;
    scale += static_cast<std::ptrdiff_t>(channels_of(entry));
  }
  return parameters;
}

}  // namespace fl
