// Random changes to image samples, drawn anew each time that a sample is used: a client with few samples, or
// few of one label, sees more variety.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "learning/random.hpp"
#include "messages/training.hpp"

namespace fl {

/// One resampling (bilinear; beyond the edge the edge goes on) along
///
///   input place = R(−rotation) / (1 + scale) · (output place − shift) + elastic(output place)
///
/// with rotation, scale and shift uniform between their limits, and elastic a smooth field: normal shifts at
/// 4 × 4 places, bicubic between them (Ronneberger 2015, 1505.04597, section 3.1). Then, with the probability
/// of `erasing`, a rectangle of 2 to 33 % of the area and a ratio of sides of 0.3 to 3.3 becomes the image's
/// mean (Zhong 2020, 1708.04896).
class Augmentation {
 public:
  /// `sample_shape` is [channels, height, width].
  Augmentation(const AugmentationSettings& settings, const std::vector<std::int64_t>& sample_shape);

  /// `features` [N, channels, height, width], float32: new ones of the same shape on the same device. Draws
  /// all its random numbers from `random`, sample by sample.
  at::Tensor apply(const at::Tensor& features, RandomStream& random) const;

 private:
  at::Tensor moved(const at::Tensor& features, RandomStream& random) const;
  at::Tensor erased(const at::Tensor& features, RandomStream& random) const;

  AugmentationSettings settings_;
  std::int64_t height_;
  std::int64_t width_;
};

}  // namespace fl
