#include "runtime/svg_plot.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace fl {

namespace {

constexpr double kWidth = 720;
constexpr double kHeight = 340;
constexpr double kLeft = 62;
constexpr double kTop = 14;
constexpr double kBottom = 46;
constexpr double kLegend = 190;
constexpr double kRow = 9;  ///< of a strip

std::string begin(double height, const std::string& label) {
  return fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img" aria-label="{}" font-size="12">)",
      kWidth, height, xml_escaped(label));
}

/// A round distance between ticks, so that there are about `count`.
double tick_step(double span, double count) {
  const auto raw = span / count;
  const auto power = std::pow(10, std::floor(std::log10(raw)));
  for (const auto factor : {1.0, 2.0, 5.0})
    if (factor * power >= raw) return factor * power;
  return 10 * power;
}

/// A range that is not empty.
struct Range {
  double low = 0;
  double high = 1;

  double at(double value) const { return (value - low) / (high - low); }
};

Range range_of(double low, double high) {
  if (!(high > low)) return {low, low + 1};
  return {low, high};
}

/// Where values lie on the page.
struct Frame {
  Range x;
  Range y;
  double height = kHeight;

  double right() const { return kWidth - kLegend; }
  double px(double value) const { return kLeft + (right() - kLeft) * x.at(value); }
  double py(double value) const { return height - kBottom - (height - kBottom - kTop) * y.at(value); }

  std::string x_axis(const std::string& label) const {
    auto text = std::string();
    const auto step = tick_step(x.high - x.low, 7);
    for (auto tick = std::ceil(x.low / step) * step; tick <= x.high * (1 + 1e-9); tick += step)
      text += fmt::format(
          R"(<path class="grid" d="M{0:.1f} {1}V{2:.1f}"/><text x="{0:.1f}" y="{3:.1f}" text-anchor="middle">{4:.6g}</text>)",
          px(tick), kTop, height - kBottom, height - kBottom + 16, std::abs(tick) < step / 1e6 ? 0 : tick);
    return text + fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)",
                              (kLeft + right()) / 2, height - 10, xml_escaped(label));
  }

  std::string y_axis(const std::string& label) const {
    auto text = std::string();
    const auto step = tick_step(y.high - y.low, 6);
    for (auto tick = std::ceil(y.low / step) * step; tick <= y.high + step / 1e6; tick += step)
      text += fmt::format(
          R"(<path class="grid" d="M{0} {1:.1f}H{2}"/><text x="{3}" y="{4:.1f}" text-anchor="end">{5:.4g}</text>)",
          kLeft, py(tick), right(), kLeft - 6, py(tick) + 4, std::abs(tick) < step / 1e6 ? 0 : tick);
    return text +
           fmt::format(
               R"svg(<text transform="translate(14 {:.1f}) rotate(-90)" text-anchor="middle">{}</text>)svg",
               (kTop + height - kBottom) / 2, xml_escaped(label));
  }
};

std::string legend(const std::vector<PlotSeries>& series, double right) {
  auto text = std::string();
  for (auto i = std::size_t{0}; i < series.size(); ++i) {
    const auto y = kTop + 14 + 20 * static_cast<double>(i);
    text += fmt::format(
        R"(<path d="M{0} {1}h18" stroke="{2}" stroke-width="4"/><text x="{3}" y="{4}">{5}</text>)",
        right + 14, y, plot_colour(series[i].colour), right + 38, y + 4, xml_escaped(series[i].name));
  }
  return text;
}

}  // namespace

std::string xml_escaped(const std::string& text) {
  auto escaped = std::string();
  for (const auto letter : text) switch (letter) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += letter;
    }
  return escaped;
}

std::string plot_colour(std::size_t index) {
  // Told apart by most colour-blind people, too (Okabe and Ito 2008, and four more).
  static constexpr auto colours = std::array{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00",
                                             "#56b4e9", "#5d6d7e", "#7d3c98", "#8d6e63", "#1b1b1b"};
  return colours[index % colours.size()];
}

std::string line_plot(const PlotAxes& axes, const std::vector<PlotSeries>& series) {
  auto high = std::pair(0.0, 0.0);
  auto low_y = axes.bars ? 0.0 : 1e300;
  for (const auto& one : series)
    for (const auto& [x, y] : one.points) {
      high.first = std::max(high.first, x);
      high.second = std::max(high.second, y);
      low_y = std::min(low_y, y);
    }
  if (low_y > high.second) return "<p>There is nothing to plot.</p>";
  const auto room = axes.bars ? 1.0 : 0.0;
  const auto frame = Frame{range_of(0, high.first + room), range_of(low_y, high.second)};
  auto text = begin(kHeight, axes.y + " against " + axes.x) + frame.x_axis(axes.x) + frame.y_axis(axes.y);
  for (auto i = std::size_t{0}; i < series.size(); ++i) {
    const auto& one = series[i];
    const auto colour = plot_colour(one.colour);
    if (axes.bars) {
      const auto width = 0.8 / static_cast<double>(series.size());
      for (const auto& [x, y] : one.points) {
        const auto from = frame.px(x + 0.1 + width * static_cast<double>(i));
        text +=
            fmt::format(R"(<path d="M{:.1f} {:.1f}H{:.1f}V{:.1f}H{:.1f}Z" fill="{}"/>)", from, frame.py(0),
                        frame.px(x + 0.1 + width * static_cast<double>(i + 1)), frame.py(y), from, colour);
      }
      continue;
    }
    auto path = std::string();
    for (const auto& [x, y] : one.points) {
      if (path.empty())
        path = fmt::format("M{:.1f} {:.1f}", frame.px(x), frame.py(y));
      else
        path += fmt::format("L{:.1f} {:.1f}", frame.px(x), frame.py(y));
    }
    text += fmt::format(R"(<path d="{}" fill="none" stroke="{}" stroke-width="1.8"/>)", path, colour);
  }
  return text + legend(series, frame.right()) + "</svg>";
}

std::string strip_plot(const std::string& x, double from, double to, const std::vector<StripRow>& rows,
                       std::size_t colour) {
  const auto height = kTop + kRow * static_cast<double>(rows.size()) + kBottom;
  const auto frame = Frame{range_of(from, to), {0, 1}, height};
  auto text = begin(height, "what each client did") + frame.x_axis(x);
  for (auto i = std::size_t{0}; i < rows.size(); ++i) {
    const auto y = kTop + kRow * static_cast<double>(i);
    text += fmt::format(R"(<text x="{}" y="{:.1f}" text-anchor="end" font-size="8">{}</text>)", kLeft - 4,
                        y + 7, xml_escaped(rows[i].name));
    for (const auto& span : rows[i].spans) {
      const auto begins = frame.px(std::max(span.from, from));
      const auto ends = frame.px(std::min(span.to, to));
      text += fmt::format(
          R"(<path d="M{:.1f} {:.1f}H{:.1f}v{:.1f}H{:.1f}Z" fill="{}" stroke="white" stroke-width=".4"/>)",
          begins, y + 1, std::max(ends, begins + 0.5), kRow - 2, begins,
          span.good ? plot_colour(colour) : "#b00020");
    }
  }
  return text + "</svg>";
}

}  // namespace fl
