#include "runtime/compare_command.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <numeric>

#include "runtime/atomic_file.hpp"
#include "runtime/quantities.hpp"
#include "runtime/run_history.hpp"
#include "runtime/svg_plot.hpp"

namespace fl {

namespace {

constexpr std::uint64_t kStalenessBins = 25;
constexpr std::size_t kStripClients = 60;
constexpr std::size_t kStripSpans = 4'000;
constexpr std::size_t kPlotPoints = 2'000;

using Histories = std::vector<RunHistory>;

/// Seconds, minutes or hours, whatever is readable for the longest run.
struct TimeUnit {
  double seconds = 1;
  std::string name = "s";
};

TimeUnit unit_for(const Histories& runs) {
  auto longest = 0.0;
  for (const auto& run : runs)
    if (!run.versions.empty()) longest = std::max(longest, run.versions.back().time_s);
  if (longest > 3 * 86'400) return {86'400, "days"};
  if (longest > 3 * 3'600) return {3'600, "hours"};
  if (longest > 600) return {60, "min"};
  return {};
}

std::string time_label(const Histories& runs, const TimeUnit& unit) {
  const auto all_virtual = std::ranges::all_of(runs, &RunHistory::virtual_time);
  return (all_virtual ? "simulated time, " : "time, ") + unit.name;
}

/// Every n-th point, the last included, where there are more than a page can show.
std::vector<std::pair<double, double>> thinned(std::vector<std::pair<double, double>> points) {
  if (points.size() <= kPlotPoints) return points;
  auto few = std::vector<std::pair<double, double>>();
  const auto step = (points.size() + kPlotPoints - 1) / kPlotPoints;
  for (auto i = std::size_t{0}; i < points.size(); i += step) few.push_back(points[i]);
  few.push_back(points.back());
  return few;
}

template <class X>
std::string accuracy_plot(const Histories& runs, const std::string& label, X x) {
  auto series = std::vector<PlotSeries>();
  for (auto i = std::size_t{0}; i < runs.size(); ++i) {
    auto one = PlotSeries{runs[i].name, i, {}};
    for (const auto& version : runs[i].versions)
      if (version.accuracy) one.points.emplace_back(x(version), *version.accuracy);
    one.points = thinned(std::move(one.points));
    series.push_back(std::move(one));
  }
  return line_plot({label, "accuracy"}, series);
}

std::string staleness_plot(const Histories& runs) {
  auto series = std::vector<PlotSeries>();
  for (auto i = std::size_t{0}; i < runs.size(); ++i) {
    auto counts = std::map<std::uint64_t, double>();
    auto all = 0.0;
    for (const auto& decision : runs[i].decisions) {
      if (!decision.accepted) continue;
      ++counts[std::min(decision.staleness, kStalenessBins)];
      ++all;
    }
    auto one = PlotSeries{runs[i].name, i, {}};
    for (const auto& [staleness, count] : counts)
      one.points.emplace_back(static_cast<double>(staleness), count / all);
    series.push_back(std::move(one));
  }
  return line_plot({fmt::format("staleness, versions ({} and more together)", kStalenessBins),
                    "share of the updates", true},
                   series);
}

/// Clients from the one with the fewest updates to the one with the most: a straight line is an equal share.
std::string contribution_plot(const Histories& runs) {
  auto series = std::vector<PlotSeries>();
  for (auto i = std::size_t{0}; i < runs.size(); ++i) {
    auto counts = runs[i].contributions();
    std::ranges::sort(counts);
    const auto all = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
    auto one = PlotSeries{runs[i].name, i, {{0, 0}}};
    auto sum = 0.0;
    for (auto client = std::size_t{0}; client < counts.size(); ++client) {
      sum += static_cast<double>(counts[client]);
      one.points.emplace_back(100 * static_cast<double>(client + 1) / static_cast<double>(counts.size()),
                              all > 0 ? sum / all : 0);
    }
    one.points = thinned(std::move(one.points));
    series.push_back(std::move(one));
  }
  return line_plot({"clients, %, from the least to the most active", "share of the updates"}, series);
}

/// Who worked when, in the run's first part: as much of it as can be told apart.
std::string strip(const RunHistory& run, std::size_t colour, const TimeUnit& unit, const std::string& label) {
  auto by_client = std::map<ClientId, StripRow>();
  auto to = 0.0;
  const auto chosen = [&](ClientId client) {
    // Evenly among all clients, where there are too many.
    const auto step = std::max<std::size_t>(1, run.clients / kStripClients);
    return client % step == 0;
  };
  auto spans = std::size_t{0};
  for (const auto& decision : run.decisions) {
    if (!chosen(decision.client)) continue;
    if (++spans > kStripSpans) break;
    auto& row = by_client[decision.client];
    row.name = std::to_string(decision.client);
    row.spans.push_back({decision.from_s / unit.seconds, decision.to_s / unit.seconds, decision.accepted});
    to = std::max(to, decision.to_s / unit.seconds);
    if (row.spans.size() > 40) break;
  }
  auto rows = std::vector<StripRow>();
  for (auto& [client, row] : by_client) rows.push_back(std::move(row));
  if (rows.empty()) return "<p>No updates.</p>";
  return strip_plot(label, 0, to, rows, colour);
}

struct Row {
  std::string name, strategy, clients, updates, accuracy, time, ratio, updates_to, bytes_to;
};

std::string seconds_text(double seconds, const TimeUnit& unit) {
  return fmt::format("{:.4g} {}", seconds / unit.seconds, unit.name);
}

std::vector<Row> table_of(const Histories& runs, double target, const TimeUnit& unit) {
  auto rows = std::vector<Row>();
  const auto* const first = runs.front().reached(target);
  for (const auto& run : runs) {
    auto row = Row{run.name, run.strategy, std::to_string(run.clients), {}, {}, "not reached", "–", "–", "–"};
    row.updates = run.versions.empty() ? "0" : fmt::format("{:.0f}", run.versions.back().updates);
    row.accuracy = run.best_accuracy() < 0 ? "not measured" : fmt::format("{:.4f}", run.best_accuracy());
    if (const auto* const reached = run.reached(target)) {
      row.time = seconds_text(reached->time_s, unit);
      row.updates_to = fmt::format("{:.0f}", reached->updates);
      row.bytes_to = bytes_text(static_cast<std::uint64_t>(reached->bytes));
      if (first != nullptr && first->time_s > 0)
        row.ratio = fmt::format("{:.3f}", reached->time_s / first->time_s);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string page(const Histories& runs, const std::vector<Row>& rows, double target, const TimeUnit& unit) {
  const auto time = time_label(runs, unit);
  auto html = std::string(R"(<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Runs compared</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:980px;margin:2em auto;padding:0 1em;color:#1b1b1b;background:#fff}
svg{width:100%;height:auto} svg text{fill:#333} .grid{stroke:#e4e4e4}
table{border-collapse:collapse;width:100%} th,td{padding:.3em .6em;border-bottom:1px solid #ddd;text-align:right}
th:first-child,td:first-child,th:nth-child(2),td:nth-child(2){text-align:left} caption{text-align:left;padding:.4em 0}
</style>
<h1>Runs compared</h1>
)");
  html +=
      fmt::format("<table><caption>Time to an accuracy of {:.4g}, and its ratio to that of {}</caption>\n",
                  target, xml_escaped(runs.front().name));
  html +=
      "<tr><th>run<th>strategy<th>clients<th>updates<th>best accuracy<th>time to target<th>ratio<th>updates "
      "to it<th>bytes "
      "to it</tr>\n";
  for (const auto& row : rows)
    html += fmt::format("<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>\n",
                        xml_escaped(row.name), row.strategy, row.clients, row.updates, row.accuracy, row.time,
                        row.ratio, row.updates_to, row.bytes_to);
  html += "</table>\n";
  const auto section = [&](const std::string& title, const std::string& body) {
    html += "<h2>" + title + "</h2>\n" + body + "\n";
  };
  section("Accuracy against time",
          accuracy_plot(runs, time, [&](const auto& version) { return version.time_s / unit.seconds; }));
  section("Accuracy against updates",
          accuracy_plot(runs, "accepted updates", [](const auto& version) { return version.updates; }));
  section("Accuracy against bytes", accuracy_plot(runs, "megabytes, both ways, all clients",
                                                  [](const auto& version) { return version.bytes / 1e6; }));
  section("Staleness", staleness_plot(runs));
  section("What each client contributed", contribution_plot(runs));
  html +=
      "<h2>What each client did</h2>\n<p>The beginning of each run; a client's tasks from the lease to the "
      "answer. Red: "
      "refused.</p>\n";
  for (auto i = std::size_t{0}; i < runs.size(); ++i)
    html += "<h3>" + xml_escaped(runs[i].name) + "</h3>\n" + strip(runs[i], i, unit, time) + "\n";
  return html + "</html>\n";
}

ExitCode complain(ExitCode code, const std::string& text) {
  std::fprintf(stderr, "%s\n", text.c_str());
  return code;
}

}  // namespace

ExitCode compare_runs(const CompareRequest& request) {
  auto runs = Histories();
  for (const auto& folder : request.folders) {
    auto history = read_history(folder);
    if (!history) return complain(ExitCode::refused, history.error().text);
    runs.push_back(std::move(*history));
  }
  auto target = request.target.value_or(1);
  if (!request.target)
    for (const auto& run : runs)
      if (run.best_accuracy() >= 0) target = std::min(target, run.best_accuracy());
  const auto unit = unit_for(runs);
  const auto rows = table_of(runs, target, unit);
  std::printf("time to an accuracy of %.4g\n", target);
  for (const auto& row : rows)
    std::printf("  %-24s %-14s best %-12s time %-14s ratio %-7s updates %-8s bytes %s\n", row.name.c_str(),
                row.strategy.c_str(), row.accuracy.c_str(), row.time.c_str(), row.ratio.c_str(),
                row.updates_to.c_str(), row.bytes_to.c_str());
  if (auto ok = write_atomically(request.out, page(runs, rows, target, unit)); !ok)
    return complain(ExitCode::failed, ok.error().text);
  std::printf("%s\n", request.out.string().c_str());
  return ExitCode::done;
}

}  // namespace fl
