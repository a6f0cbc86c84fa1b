#include "learning/data/synthetic_digits.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string_view>

#include "learning/random.hpp"

namespace fl {
namespace {

constexpr int kSide_pixels = 28;
constexpr std::uint32_t kDigitClasses = 10;

// How much the digits vary.
constexpr double kHalfHeight_pixels = 9;
constexpr double kMinScale = 0.75;
constexpr double kMaxScale = 1.05;
constexpr double kMaxRotation_radians = 0.25;
constexpr double kMaxShear = 0.25;
constexpr double kMaxShift_pixels = 2.5;
constexpr double kMaxBend_pixels = 1.2;
constexpr double kMinRadius_pixels = 0.6;  ///< half the thickness of a stroke
constexpr double kMaxRadius_pixels = 1.6;
constexpr double kMinInk_bytes = 140;
constexpr double kMaxInk_bytes = 255;
constexpr double kNoise_bytes = 35;  ///< uniform in ± this

struct Point {
  double x = 0;
  double y = 0;
};

using Stroke = std::vector<Point>;
using Glyph = std::vector<Stroke>;  ///< in [−1, 1]², y downwards

/// Part of an ellipse; degrees run clockwise from the right, as y points down.
Stroke arc(Point centre, double radius_x, double radius_y, double from_degrees, double to_degrees) {
  constexpr double kStep_degrees = 30;
  const auto steps = static_cast<int>(std::ceil(std::abs(to_degrees - from_degrees) / kStep_degrees));
  Stroke stroke;
  for (int i = 0; i <= steps; ++i) {
    const auto degrees = from_degrees + (to_degrees - from_degrees) * i / steps;
    const auto radians = degrees * std::numbers::pi / 180;
    stroke.push_back({centre.x + radius_x * std::cos(radians), centre.y + radius_y * std::sin(radians)});
  }
  return stroke;
}

Stroke operator+(Stroke first, const Stroke& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

/// The ways in which each digit is written.
std::array<std::vector<Glyph>, kDigitClasses> make_glyphs() {
  return {{
      {{arc({0, 0}, 0.55, 0.9, 0, 360)}},
      {{{{0, -0.9}, {0, 0.9}}}, {{{-0.3, -0.55}, {0.05, -0.9}, {0.05, 0.9}}}},
      {{arc({0, -0.45}, 0.5, 0.45, 190, 400) + Stroke{{-0.55, 0.9}, {0.55, 0.9}}}},
      {{arc({0, -0.45}, 0.45, 0.45, 210, 450) + arc({0, 0.45}, 0.52, 0.45, 270, 510)}},
      {{{{0.25, 0.9}, {0.25, -0.9}, {-0.55, 0.35}, {0.6, 0.35}}},
       {{{-0.4, -0.9}, {-0.5, 0.1}, {0.55, 0.1}}, {{0.3, -0.7}, {0.3, 0.9}}}},
      {{Stroke{{0.5, -0.9}, {-0.4, -0.9}, {-0.45, -0.1}} + arc({0, 0.35}, 0.52, 0.52, 225, 500)}},
      {{Stroke{{0.4, -0.9}, {-0.1, -0.6}, {-0.42, -0.1}} + arc({0, 0.42}, 0.5, 0.46, 180, 540)}},
      {{{{-0.55, -0.9}, {0.55, -0.9}, {-0.1, 0.9}}},
       {{{-0.55, -0.9}, {0.55, -0.9}, {-0.1, 0.9}}, {{-0.25, 0}, {0.45, 0}}}},
      {{arc({0, -0.45}, 0.4, 0.43, 90, 450) + arc({0, 0.45}, 0.5, 0.45, 270, 630)}},
      {{arc({0, -0.42}, 0.48, 0.46, 0, 360) + Stroke{{0.42, 0.2}, {0.2, 0.9}}}},
  }};
}

/// Takes a glyph's points to pixels: affine, then bent along a sine.
class Distortion {
 public:
  explicit Distortion(RandomStream& random) {
    const auto scale_x = kHalfHeight_pixels * random.uniform(kMinScale, kMaxScale);
    const auto scale_y = kHalfHeight_pixels * random.uniform(kMinScale, kMaxScale);
    const auto shear = random.uniform(-kMaxShear, kMaxShear);
    const auto angle = random.uniform(-kMaxRotation_radians, kMaxRotation_radians);
    const auto cosine = std::cos(angle);
    const auto sine = std::sin(angle);
    // rotation · shear · scale
    xx_ = cosine * scale_x;
    xy_ = (cosine * shear - sine) * scale_y;
    yx_ = sine * scale_x;
    yy_ = (sine * shear + cosine) * scale_y;
    shift_.x = (kSide_pixels - 1) / 2.0 + random.uniform(-kMaxShift_pixels, kMaxShift_pixels);
    shift_.y = (kSide_pixels - 1) / 2.0 + random.uniform(-kMaxShift_pixels, kMaxShift_pixels);
    bend_ = random.uniform(-kMaxBend_pixels, kMaxBend_pixels);
    phase_ = random.uniform(0, 2 * std::numbers::pi);
  }

  Point operator()(Point p) const {
    const auto bend = bend_ * std::sin(std::numbers::pi * p.y + phase_);
    return {xx_ * p.x + xy_ * p.y + shift_.x + bend, yx_ * p.x + yy_ * p.y + shift_.y};
  }

 private:
  double xx_, xy_, yx_, yy_;
  Point shift_;
  double bend_;
  double phase_;
};

double distance_to_segment(Point p, Point a, Point b) {
  const Point along{b.x - a.x, b.y - a.y};
  const auto length2 = along.x * along.x + along.y * along.y;
  const auto projection = (p.x - a.x) * along.x + (p.y - a.y) * along.y;
  const auto t = length2 > 0 ? std::clamp(projection / length2, 0.0, 1.0) : 0.0;
  return std::hypot(p.x - a.x - t * along.x, p.y - a.y - t * along.y);
}

/// Ink from 0 to 1 a pixel, row-major.
using Canvas = std::array<double, kSide_pixels * kSide_pixels>;

/// Draws a line with round ends and edges that fade over a pixel.
void draw_segment(Canvas& canvas, Point a, Point b, double radius) {
  const auto reach = radius + 1;
  const auto first = [&](double low) { return std::max(0, static_cast<int>(std::floor(low - reach))); };
  const auto last = [&](double high) {
    return std::min(kSide_pixels - 1, static_cast<int>(std::ceil(high + reach)));
  };
  for (int y = first(std::min(a.y, b.y)); y <= last(std::max(a.y, b.y)); ++y) {
    for (int x = first(std::min(a.x, b.x)); x <= last(std::max(a.x, b.x)); ++x) {
      const auto distance = distance_to_segment({static_cast<double>(x), static_cast<double>(y)}, a, b);
      auto& ink = canvas[static_cast<std::size_t>(y * kSide_pixels + x)];
      ink = std::max(ink, std::clamp(radius + 0.5 - distance, 0.0, 1.0));
    }
  }
}

void append_image(std::vector<std::uint8_t>& pixels, const std::vector<Glyph>& variants,
                  RandomStream& random) {
  const auto& glyph = variants[random.below(variants.size())];
  const Distortion distort(random);
  const auto radius = random.uniform(kMinRadius_pixels, kMaxRadius_pixels);
  const auto ink_bytes = random.uniform(kMinInk_bytes, kMaxInk_bytes);
  Canvas canvas{};
  for (const auto& stroke : glyph) {
    for (std::size_t i = 1; i < stroke.size(); ++i) {
      draw_segment(canvas, distort(stroke[i - 1]), distort(stroke[i]), radius);
    }
  }
  for (const auto ink : canvas) {
    const auto value = ink * ink_bytes + random.uniform(-kNoise_bytes, kNoise_bytes);
    pixels.push_back(static_cast<std::uint8_t>(std::clamp(value, 0.0, 255.0)));
  }
}

DatasetPtr make_digits(std::uint32_t count, std::uint64_t seed, std::string_view purpose) {
  static const auto glyphs = make_glyphs();
  std::vector<std::uint8_t> pixels;
  pixels.reserve(std::size_t{count} * kSide_pixels * kSide_pixels);
  std::vector<std::int64_t> labels;
  labels.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    RandomStream random(stream_seed(seed, purpose, i));
    const auto label = random.below(kDigitClasses);
    labels.push_back(static_cast<std::int64_t>(label));
    append_image(pixels, glyphs[label], random);
  }
  return std::make_shared<const Dataset>(std::vector<std::int64_t>{1, kSide_pixels, kSide_pixels},
                                         kDigitClasses, std::move(pixels), std::move(labels));
}

}  // namespace

TrainTest make_synthetic_digits(std::uint32_t train, std::uint32_t test, std::uint64_t seed) {
  return {.train = make_digits(train, seed, "synthetic_digits.train"),
          .test = make_digits(test, seed, "synthetic_digits.test"),
          .owners = {}};
}

}  // namespace fl
