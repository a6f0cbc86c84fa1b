// Handwriting-like digits that need no files: a stand-in for MNIST in tests, demonstrations and closed
// networks.
#pragma once

#include <cstdint>

#include "learning/data/dataset.hpp"

namespace fl {

/// Draws each digit from its strokes under a random affine map, a random bend, thickness, ink and noise: byte
/// samples [1, 28, 28] like MNIST's, 10 classes of about equal size. Sample i depends on `seed` and i alone,
/// so a larger set begins like a smaller one. Positions and slants vary more than in MNIST: a linear model
/// stays far behind a convolutional one (tests/unit/learning/data/synthetic_digits_test.cpp). `train`, `test`
/// ≥ 1.
TrainTest make_synthetic_digits(std::uint32_t train, std::uint32_t test, std::uint64_t seed);

}  // namespace fl
