// Plots as SVG text, for reports that a browser shows without a network.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace fl {

/// Text that may stand in XML.
std::string xml_escaped(const std::string& text);

/// The colour of the i-th thing that is compared; they repeat after ten.
std::string plot_colour(std::size_t index);

struct PlotSeries {
  std::string name;
  std::size_t colour = 0;
  std::vector<std::pair<double, double>> points;  ///< rising in x
};

struct PlotAxes {
  std::string x;  ///< what is along it, with its unit
  std::string y;
  bool bars = false;  ///< a bar at each point instead of a line
};

/// Lines, or bars side by side, with axes, ticks and a legend.
std::string line_plot(const PlotAxes& axes, const std::vector<PlotSeries>& series);

/// One row of a strip: what somebody did, when.
struct StripRow {
  std::string name;
  struct Span {
    double from = 0;
    double to = 0;
    bool good = true;
  };
  std::vector<Span> spans;
};

/// Rows of spans over [from, to] of x.
std::string strip_plot(const std::string& x, double from, double to, const std::vector<StripRow>& rows,
                       std::size_t colour);

}  // namespace fl
