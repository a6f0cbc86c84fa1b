// A strategy of one's own: fl_actor_node with another weighing of the updates.
//
//   own_strategy --role simulate --set strategy.name=fedbuff --out runs/capped
#include <algorithm>
#include <cmath>

#include "runtime/program.hpp"

namespace {

/// Nobody counts for more samples than this, so that no client drowns the others out.
constexpr std::uint64_t kMostSamples = 500;

/// An update that is so many versions old counts half.
constexpr double kHalfLife_versions = 4;

///   w_i = min(n_i, 500) · 2^(−τ_i / 4)      d_i = min(n_i, 500)
fl::Weight capped(const fl::UpdateFacts& update, std::uint64_t staleness) {
  const auto samples = static_cast<double>(std::min(update.samples, kMostSamples));
  return {.fold = samples * std::exp2(-static_cast<double>(staleness) / kHalfLife_versions),
          .divisor = samples};
}

}  // namespace

int main(int argc, char** argv) {
  // When a buffer closes, and what is done with it then, is still what strategy.* says.
  return fl::run_program(argc, argv, [](fl::Config& config) { config.strategy.weighing = capped; });
}
