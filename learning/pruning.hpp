// Global magnitude pruning: the smallest weights of the whole model are set to zero and stay so (Han 2015,
// 1506.02626), a few more each time, up to the ratio (Zhu and Gupta 2017, 1710.01878).
//
// The mask needs no message of its own: it is the zeros of the published version, so server and clients agree
// on it by the version that they work from. A client trains and sends only what is not zero; the server keeps
// what is zero at zero, whatever late updates from before the mask say.
#pragma once

#include <cstdint>
#include <span>

#include "messages/ids.hpp"
#include "messages/layout.hpp"

namespace fl {

struct PruningOptions {
  double ratio = 0;     ///< of the prunable weights that are zero in the end, in [0, 1); 0: none
  bool gradual = true;  ///< ratio · (1 − (1 − v / versions)³) at version v; else all of it at `versions`
  Version versions = 20;  ///< until the ratio is reached
  Version every = 5;      ///< versions between two masks, ≥ 1
};

/// Weights, as against biases and statistics: trainable tensors of two dimensions and more.
bool is_prunable(const LayoutEntry& entry);

/// The ratio that a mask made at this version has; 0: none is made.
double prune_ratio_at(const PruningOptions& options, Version version);

/// Makes version `version` out of `values`: what was zero in `before` is zero again, and when a mask is due,
/// the smallest weights as well, as many as its ratio says (fewer where magnitudes are equal).
void prune(const PruningOptions& options, Version version, const Layout& layout,
           std::span<const float> before, std::span<float> values);

/// Share of the prunable weights that are zero; 0 where there are none.
double sparsity(const Layout& layout, std::span<const float> values);

}  // namespace fl
