#include "learning/torch/augmentation.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fl {

namespace {

/// Control points of the elastic field along each side.
constexpr std::int64_t kControlPoints = 4;

/// From edge to edge in the coordinates of at::grid_sampler.
constexpr double kWhole = 2;

constexpr std::int64_t kBilinear = 0;
constexpr std::int64_t kBorder = 1;

}  // namespace

Augmentation::Augmentation(const AugmentationSettings& settings,
                           const std::vector<std::int64_t>& sample_shape)
    : settings_(settings), height_(sample_shape.at(1)), width_(sample_shape.at(2)) {}

at::Tensor Augmentation::apply(const at::Tensor& features, RandomStream& random) const {
  const auto no_grad = at::NoGradGuard();
  const auto resampled = moved(features, random);
  return settings_.erasing > 0 ? erased(resampled, random) : resampled;
}

at::Tensor Augmentation::moved(const at::Tensor& features, RandomStream& random) const {
  const auto count = features.size(0);
  const auto within = [&random](double limit) { return limit > 0 ? random.uniform(-limit, limit) : 0.0; };
  const auto aspect = static_cast<double>(height_) / static_cast<double>(width_);
  auto affine = at::empty({count, 2, 3}, at::kFloat);
  auto shifts = at::empty({settings_.elastic > 0 ? count : 0, 2, kControlPoints, kControlPoints}, at::kFloat);
  auto* row = affine.data_ptr<float>();
  auto* shift = shifts.data_ptr<float>();
  for (std::int64_t i = 0; i < count; ++i) {
    const auto angle = within(settings_.rotation) * std::numbers::pi / 180;
    const auto size = 1 + within(settings_.scale);
    const auto x = kWhole * within(settings_.shift);
    const auto y = kWhole * within(settings_.shift);
    const auto a = std::cos(angle) / size;
    const auto b = std::sin(angle) / size;
    for (const auto value : {a, b * aspect, -a * x - b * aspect * y, -b / aspect, a, b / aspect * x - a * y})
      *row++ = static_cast<float>(value);
    if (settings_.elastic == 0) continue;
    for (const auto side : {1.0, 1 / aspect})
      for (std::int64_t k = 0; k < kControlPoints * kControlPoints; ++k)
        *shift++ = static_cast<float>(kWhole * side * settings_.elastic * random.normal());
  }
  auto places = at::affine_grid_generator(affine.to(features.device()), {count, 1, height_, width_}, false);
  if (settings_.elastic > 0) {
    const auto field = at::upsample_bicubic2d(shifts.to(features.device()), {height_, width_}, true);
    places = places + field.permute({0, 2, 3, 1});
  }
  return at::grid_sampler(features, places, kBilinear, kBorder, false);
}

at::Tensor Augmentation::erased(const at::Tensor& features, RandomStream& random) const {
  auto hidden = at::zeros({features.size(0), 1, height_, width_}, at::kBool);
  const auto length = [](double wanted, std::int64_t side) {
    return std::clamp<std::int64_t>(std::llround(wanted), 1, side);
  };
  for (std::int64_t i = 0; i < features.size(0); ++i) {
    if (random.uniform() >= settings_.erasing) continue;
    const auto area = random.uniform(0.02, 0.33) * static_cast<double>(height_ * width_);
    const auto ratio = std::exp(random.uniform(std::log(0.3), std::log(3.3)));
    const auto rows = length(std::sqrt(area * ratio), height_);
    const auto columns = length(std::sqrt(area / ratio), width_);
    const auto top = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(height_ - rows + 1)));
    const auto left =
        static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(width_ - columns + 1)));
    hidden[i][0].narrow(0, top, rows).narrow(1, left, columns).fill_(true);
  }
  return at::where(hidden.to(features.device()), features.mean({1, 2, 3}, true), features);
}

}  // namespace fl
