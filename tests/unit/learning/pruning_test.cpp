#include "learning/pruning.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "learning/random.hpp"

using namespace fl;

namespace {

Layout with_bias() {
  auto layout = Layout();
  layout.add("a.weight", {10, 10});
  layout.add("a.bias", {10});
  layout.add("b.weight", {5, 2, 10});
  layout.add("b.mean", {5, 2}, EntryKind::buffer);
  return layout;
}

}  // namespace

TEST_SUITE("pruning") {
  TEST_CASE("the ratio rises as Zhu and Gupta have it, and at versions that are due") {
    const auto options = PruningOptions{0.8, true, 20, 5};
    CHECK(prune_ratio_at(options, 0) == 0);
    CHECK(prune_ratio_at(options, 4) == 0);
    CHECK(prune_ratio_at(options, 5) == doctest::Approx(0.8 * (1 - 0.75 * 0.75 * 0.75)));
    CHECK(prune_ratio_at(options, 10) == doctest::Approx(0.7));
    CHECK(prune_ratio_at(options, 20) == 0.8);
    CHECK(prune_ratio_at(options, 21) == 0);
    CHECK(prune_ratio_at(options, 25) == 0.8);
    const auto once = PruningOptions{0.8, false, 7, 5};
    CHECK(prune_ratio_at(once, 5) == 0);
    CHECK(prune_ratio_at(once, 7) == 0.8);
    CHECK(prune_ratio_at({}, 20) == 0);
  }

  TEST_CASE("the smallest weights of the whole model go and stay away; biases and statistics stay") {
    const auto layout = with_bias();
    auto random = RandomStream(1);
    auto values = std::vector<float>(layout.size());
    for (auto& value : values) value = static_cast<float>(random.normal());
    const auto options = PruningOptions{0.75, false, 3, 100};
    auto model = values;
    prune(options, 3, layout, values, model);
    CHECK(sparsity(layout, model) == 0.75);
    auto largest_gone = 0.0f;
    auto smallest_kept = 10.0f;
    for (const auto& entry : layout.entries())
      for (auto i = entry.offset; i < entry.offset + entry.size; ++i) {
        if (!is_prunable(entry)) {
          CHECK(model[i] == values[i]);
        } else if (model[i] == 0) {
          largest_gone = std::max(largest_gone, std::abs(values[i]));
        } else {
          CHECK(model[i] == values[i]);
          smallest_kept = std::min(smallest_kept, std::abs(values[i]));
        }
      }
    CHECK(largest_gone < smallest_kept);

    // A late update from before the mask moves what is zero; the version does not.
    auto next = model;
    for (auto& value : next) value += 0.5f;
    prune(options, 4, layout, model, next);
    CHECK(sparsity(layout, next) == 0.75);
    CHECK(next[layout.entries()[1].offset] == model[layout.entries()[1].offset] + 0.5f);
  }

  TEST_CASE("without a ratio nothing is touched") {
    const auto layout = with_bias();
    const auto before = std::vector<float>(layout.size(), 0.0f);
    auto values = std::vector<float>(layout.size(), 1.0f);
    prune({}, 5, layout, before, values);
    CHECK(sparsity(layout, values) == 0);
  }
}
