// What augmentation does to images, seen as numbers.
#include "learning/torch/augmentation.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "learning/torch/batch_order.hpp"

using namespace fl;

namespace {

constexpr auto kSide = std::int64_t{32};

AugmentationSettings nothing() {
  return {.all = true, .shift = 0, .rotation = 0, .scale = 0, .elastic = 0, .erasing = 0};
}

at::Tensor augmented(const AugmentationSettings& settings, const at::Tensor& images, std::uint64_t seed = 1) {
  auto random = RandomStream(seed);
  return Augmentation(settings, images.sizes().slice(1).vec()).apply(images, random);
}

/// `count` black images [1, height, width] with a soft white spot; the centre of the image is (0, 0).
at::Tensor spots(std::int64_t count, double x, double y, std::int64_t height = kSide,
                 std::int64_t width = kSide) {
  const auto along = [](std::int64_t side) {
    return at::arange(side, at::kFloat) - static_cast<double>(side - 1) / 2;
  };
  const auto rows = (along(height) - y).pow(2).reshape({height, 1});
  const auto columns = (along(width) - x).pow(2).reshape({1, width});
  return (at::exp(-(rows + columns) / 8.0)).reshape({1, 1, height, width}).repeat({count, 1, 1, 1});
}

struct Spot {
  double x, y;    ///< its centre of mass, in pixels from the image's centre
  double spread;  ///< mean distance from there, squared
};

Spot find_spot(const at::Tensor& image) {
  const auto height = image.size(-2);
  const auto width = image.size(-1);
  auto spot = Spot{};
  auto mass = 0.0;
  const auto pixels = image.reshape({height, width}).contiguous();
  const auto each = [&](auto visit) {
    for (std::int64_t i = 0; i < height; ++i)
      for (std::int64_t j = 0; j < width; ++j)
        visit(static_cast<double>(pixels.data_ptr<float>()[i * width + j]),
              static_cast<double>(j) - static_cast<double>(width - 1) / 2,
              static_cast<double>(i) - static_cast<double>(height - 1) / 2);
  };
  each([&](double value, double x, double y) {
    mass += value;
    spot.x += value * x;
    spot.y += value * y;
  });
  spot.x /= mass;
  spot.y /= mass;
  each([&](double value, double x, double y) {
    spot.spread += value * (std::pow(x - spot.x, 2) + std::pow(y - spot.y, 2)) / mass;
  });
  return spot;
}

}  // namespace

TEST_CASE("with every kind left out an image stays what it is") {
  const auto images = spots(3, 4, -2);
  CHECK(at::allclose(augmented(nothing(), images), images, 1e-5, 1e-5));
}

TEST_CASE("a seed decides what becomes of an image, whatever else is in the batch") {
  auto settings = AugmentationSettings();
  settings.erasing = 0;
  const auto images = spots(8, 4, -2);
  const auto once = augmented(settings, images);
  CHECK(at::equal(once, augmented(settings, images)));
  CHECK_FALSE(at::equal(once, augmented(settings, images, 2)));
  CHECK_FALSE(at::equal(once[0], once[1]));
  CHECK(at::allclose(once.narrow(0, 0, 3), augmented(settings, images.narrow(0, 0, 3)), 1e-5, 1e-6));
}

TEST_CASE("shifts stay within their limit, and reach both ways") {
  auto settings = nothing();
  settings.shift = 0.25;  // 8 of 32 pixels
  const auto moved = augmented(settings, spots(200, 0, 0));
  auto least = 0.0;
  auto most = 0.0;
  for (std::int64_t i = 0; i < moved.size(0); ++i) {
    const auto spot = find_spot(moved[i]);
    CHECK(std::abs(spot.x) <= 8.1);
    CHECK(std::abs(spot.y) <= 8.1);
    CHECK(spot.spread == doctest::Approx(8).epsilon(0.1));
    least = std::min(least, spot.x);
    most = std::max(most, spot.x);
  }
  CHECK(least < -6);
  CHECK(most > 6);
}

TEST_CASE("rotation keeps the distance from the centre, in images that are not square too") {
  for (const auto width : {kSide, 2 * kSide}) {
    CAPTURE(width);
    auto settings = nothing();
    settings.rotation = 30;
    const auto moved = augmented(settings, spots(100, 8, 0, kSide, width));
    auto widest = 0.0;
    for (std::int64_t i = 0; i < moved.size(0); ++i) {
      const auto spot = find_spot(moved[i]);
      CHECK(std::hypot(spot.x, spot.y) == doctest::Approx(8).epsilon(0.03));
      const auto angle = std::abs(std::atan2(spot.y, spot.x)) * 180 / std::acos(-1.0);
      CHECK(angle <= 31);
      widest = std::max(widest, angle);
    }
    CHECK(widest > 25);
  }
}

TEST_CASE("scale moves towards and away from the centre by at most its share") {
  auto settings = nothing();
  settings.scale = 0.5;
  const auto moved = augmented(settings, spots(200, 6, 0));
  auto least = 10.0;
  auto most = 0.0;
  for (std::int64_t i = 0; i < moved.size(0); ++i) {
    const auto spot = find_spot(moved[i]);
    CHECK(std::abs(spot.y) < 0.1);
    CHECK(spot.spread == doctest::Approx(8 * std::pow(spot.x / 6, 2)).epsilon(0.1));
    least = std::min(least, spot.x);
    most = std::max(most, spot.x);
  }
  CHECK(least >= 2.9);
  CHECK(least < 3.5);
  CHECK(most <= 9.1);
  CHECK(most > 8.5);
}

TEST_CASE("elastic deformation moves places by about its share of the width, without direction") {
  auto settings = nothing();
  settings.elastic = 0.05;  // 1.6 of 32 pixels, at the control points
  const auto count = std::int64_t{300};
  const auto moved = augmented(settings, spots(count, 0, 0));
  auto mean = 0.0;
  auto square = 0.0;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto x = find_spot(moved[i]).x;
    mean += x / static_cast<double>(count);
    square += x * x / static_cast<double>(count);
  }
  CHECK(std::abs(mean) < 0.25);
  // Between control points the field is a mean of them, hence smaller.
  CHECK(std::sqrt(square) > 0.5);
  CHECK(std::sqrt(square) < 1.8);
}

TEST_CASE("erasing puts one rectangle of the image's mean, of 2 to 33 % of the area, where luck wants it") {
  auto settings = nothing();
  settings.erasing = 0.5;
  // Rising everywhere, so that no pixel is the mean by itself, and all channels differ.
  const auto image = at::arange(3 * kSide * kSide, at::kFloat).reshape({1, 3, kSide, kSide}) + 0.25;
  const auto images = image.repeat({400, 1, 1, 1});
  const auto mean = image.mean().item<float>();
  const auto result = augmented(settings, images);
  auto erased = 0;
  for (std::int64_t i = 0; i < images.size(0); ++i) {
    const auto hidden = (result[i] - mean).abs() < 0.2;
    const auto share = hidden.to(at::kFloat).mean().item<double>();
    if (share == 0) continue;
    ++erased;
    CHECK(at::equal(hidden[0], hidden[2]));
    CHECK(share > 0.01);
    CHECK(share < 0.36);
    const auto rows = hidden[0].any(1).sum().item<std::int64_t>();
    const auto columns = hidden[0].any(0).sum().item<std::int64_t>();
    CHECK(hidden[0].sum().item<std::int64_t>() == rows * columns);
    const auto kept = hidden.logical_not();
    CHECK(at::allclose(result[i].masked_select(kept), images[i].masked_select(kept), 1e-5, 1e-2));
  }
  CHECK(erased > 150);
  CHECK(erased < 250);
}

TEST_CASE("values stay between the image's least and largest") {
  auto settings = AugmentationSettings();
  settings.shift = 0.4;
  settings.rotation = 180;
  settings.erasing = 1;
  const auto images = at::rand({50, 1, 28, 20}) * 2 - 1;
  const auto result = augmented(settings, images);
  CHECK(result.sizes() == images.sizes());
  CHECK(result.min().item<float>() >= -1.0001f);
  CHECK(result.max().item<float>() <= 1.0001f);
}

TEST_CASE("an epoch deals every row and every repeat once, and knows which are repeats") {
  const auto rows = std::vector<std::uint32_t>{3, 5, 8, 13, 21};
  const auto repeats = std::vector<std::uint32_t>{5, 5, 13};
  auto order = BatchOrder(rows, 3, 7, repeats);
  CHECK(order.batches_per_epoch() == 3);
  for (auto epoch = 0; epoch < 4; ++epoch) {
    auto originals = std::vector<std::uint32_t>();
    auto again = std::vector<std::uint32_t>();
    for (auto batch = 0; batch < 3; ++batch) {
      const auto dealt = order.next();
      CHECK(dealt.rows.size() == (batch < 2 ? 3 : 2));
      for (std::size_t i = 0; i < dealt.rows.size(); ++i) {
        const auto is_repeat =
            std::ranges::find(dealt.repeats, static_cast<std::int64_t>(i)) != dealt.repeats.end();
        (is_repeat ? again : originals).push_back(dealt.rows[i]);
      }
    }
    std::ranges::sort(originals);
    std::ranges::sort(again);
    CHECK(originals == rows);
    CHECK(again == repeats);
    CHECK(order.distinct_rows() == 5);
  }
}

TEST_CASE("distinct rows are counted as they are dealt, repeats once") {
  const auto rows = std::vector<std::uint32_t>{0, 1, 2, 3};
  const auto repeats = std::vector<std::uint32_t>{2, 2, 2, 2};
  auto order = BatchOrder(rows, 1, 3, repeats);
  auto seen = std::vector<std::uint32_t>();
  for (auto i = 0; i < 8; ++i) {
    const auto row = order.next().rows[0];
    if (std::ranges::find(seen, row) == seen.end()) seen.push_back(row);
    CHECK(order.distinct_rows() == seen.size());
  }
}
