// A small model's state, for tests of what keeps it.
#pragma once

#include <algorithm>
#include <memory>

#include "learning/aggregation/aggregation.hpp"

namespace fl::test {

inline LayoutPtr small_layout() {
  auto layout = Layout();
  layout.add("weight", {3, 7});
  layout.add("bias", {3});
  layout.add("mean", {5}, EntryKind::buffer);
  return std::make_shared<const Layout>(std::move(layout));
}

/// Values first, first + 1, …
inline Parameters counting(const LayoutPtr& layout, float first) {
  auto parameters = Parameters(layout);
  for (auto& value : parameters.values()) value = first++;
  return parameters;
}

/// A state with every array there is.
inline AggregationState full_state(Version version) {
  const auto layout = small_layout();
  auto state = AggregationState();
  state.model = std::make_shared<const Parameters>(counting(layout, static_cast<float>(version)));
  state.version = version;
  state.updates_accepted = 3 * version;
  state.optimizer_m = counting(layout, 100);
  state.optimizer_v = counting(layout, 200);
  state.buffer_sum = counting(layout, 300);
  state.buffer = {1.5, 2, {4, 7}};
  return state;
}

/// A state with a model only.
inline AggregationState model_state(Version version) {
  auto state = full_state(version);
  state.optimizer_m = Parameters();
  state.optimizer_v = Parameters();
  state.buffer_sum = Parameters();
  state.buffer = {};
  return state;
}

inline bool same_values(const Parameters& a, const Parameters& b) {
  return std::ranges::equal(a.values(), b.values());
}

}  // namespace fl::test
