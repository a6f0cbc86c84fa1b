#include "learning/pruning.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "learning/compression/selection.hpp"

namespace fl {

namespace {

/// Zeros all prunable weights with a magnitude below that of the `kept`-th largest.
void drop_smallest(double ratio, const Layout& layout, std::span<float> values) {
  auto weights = std::vector<float>();
  for (const auto& entry : layout.entries()) {
    if (!is_prunable(entry)) continue;
    const auto tensor = values.subspan(entry.offset, entry.size);
    weights.insert(weights.end(), tensor.begin(), tensor.end());
  }
  const auto dropped = static_cast<std::uint64_t>(std::llround(ratio * static_cast<double>(weights.size())));
  const auto kept = weights.size() - std::min<std::uint64_t>(dropped, weights.size());
  if (dropped == 0 || kept == 0) return;
  const auto threshold = magnitude_threshold(weights, kept);
  for (const auto& entry : layout.entries()) {
    if (!is_prunable(entry)) continue;
    for (auto& value : values.subspan(entry.offset, entry.size))
      if (std::abs(value) < threshold) value = 0;
  }
}

}  // namespace

bool is_prunable(const LayoutEntry& entry) {
  return entry.kind == EntryKind::trainable && entry.shape.size() >= 2;
}

double prune_ratio_at(const PruningOptions& options, Version version) {
  if (options.ratio <= 0 || version == 0) return 0;
  if (version >= options.versions)
    return version == options.versions || version % options.every == 0 ? options.ratio : 0;
  if (!options.gradual || version % options.every != 0) return 0;
  const auto left = 1 - static_cast<double>(version) / static_cast<double>(options.versions);
  return options.ratio * (1 - left * left * left);
}

void prune(const PruningOptions& options, Version version, const Layout& layout,
           std::span<const float> before, std::span<float> values) {
  if (options.ratio <= 0) return;
  for (const auto& entry : layout.entries()) {
    if (!is_prunable(entry)) continue;
    for (auto i = entry.offset; i < entry.offset + entry.size; ++i)
      if (before[i] == 0) values[i] = 0;
  }
  if (const auto ratio = prune_ratio_at(options, version); ratio > 0) drop_smallest(ratio, layout, values);
}

double sparsity(const Layout& layout, std::span<const float> values) {
  auto zeros = std::uint64_t{0};
  auto weights = std::uint64_t{0};
  for (const auto& entry : layout.entries()) {
    if (!is_prunable(entry)) continue;
    const auto tensor = values.subspan(entry.offset, entry.size);
    zeros += static_cast<std::uint64_t>(std::ranges::count(tensor, 0.0f));
    weights += entry.size;
  }
  return weights > 0 ? static_cast<double>(zeros) / static_cast<double>(weights) : 0;
}

}  // namespace fl
