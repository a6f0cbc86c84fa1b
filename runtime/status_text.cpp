#include "runtime/status_text.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "runtime/quantities.hpp"

namespace fl {
namespace {

/// A wait is worth a colour from here on.
constexpr double kLongWait_s = 10;

constexpr std::string_view kPlain = "";
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kCyan = "\x1b[36m";
constexpr std::string_view kYellow = "\x1b[33m";
constexpr std::string_view kReset = "\x1b[0m";

struct Item {
  std::string text;
  std::string_view color = kPlain;
};

/// The items of a line from the left, as many as fit: the first are those that matter most.
std::string fit(const std::vector<Item>& items, const BlockStyle& style) {
  const std::string_view separator = style.unicode ? " · " : " | ";
  std::string line;
  std::size_t used = 0;
  for (const Item& item : items) {
    if (item.text.empty()) continue;
    const std::size_t gap = used == 0 ? 0 : columns_of(separator);
    if (used + gap + columns_of(item.text) > style.columns) {
      if (used == 0) line = item.text.substr(0, style.columns);  // Only ASCII is ever that long.
      break;
    }
    if (gap > 0) line += separator;
    const bool colored = style.color && !item.color.empty();
    line += colored ? fmt::format("{}{}{}", item.color, item.text, kReset) : item.text;
    used += gap + columns_of(item.text);
  }
  return line;
}

std::string count_of_goal(std::uint64_t count, std::uint64_t goal) {
  return goal > 0 ? fmt::format("{}/{}", count, goal) : fmt::format("{}", count);
}

Item bar(double share, std::size_t columns, const BlockStyle& style) {
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(columns));
  std::string text;
  for (std::size_t i = 0; i < columns; ++i) {
    if (style.unicode) {
      text += i < filled ? "█" : "░";
    } else {
      text += i < filled ? '#' : '.';
    }
  }
  return {text, kCyan};
}

Item waiting(const RunStatus& status) {
  if (status.waited_for.empty()) return {};
  return {fmt::format("waiting {} for {}", duration_text(status.waited_s), printable(status.waited_for)),
          status.waited_s >= kLongWait_s ? kYellow : kPlain};
}

std::string accuracy_text(const RunStatus& status) {
  if (status.accuracy < 0) return "accuracy: none yet";
  return fmt::format("accuracy {} (best {})", percent_text(status.accuracy),
                     percent_text(std::max(status.accuracy, status.best_accuracy)));
}

std::string clients_text(const RunStatus& status) {
  return fmt::format(
      "{} training, {} waiting, {} lost{}", status.clients_training, status.clients_waiting,
      status.clients_lost,
      status.clients_quarantined > 0 ? fmt::format(", {} quarantined", status.clients_quarantined) : "");
}

std::string time_left_text(const RunStatus& status) {
  return status.remaining_s < 0 ? "" : fmt::format("about {} left", duration_text(status.remaining_s));
}

std::string goal_line(const RunStatus& status, const BlockStyle& style) {
  // On narrow terminals the bar gives way first.
  constexpr std::size_t kShortestBar = 8;
  constexpr std::size_t kLongestBar = 40;
  std::vector<Item> items{
      {fmt::format("version {}", count_of_goal(status.version, status.max_versions)), kBold},
      {fmt::format("updates {}", count_of_goal(status.updates_accepted, status.max_updates))},
      {status.updates_rejected > 0 ? fmt::format("{} rejected", status.updates_rejected) : "", kYellow}};
  const auto share = progress_of(status);
  if (!share) return fit(items, style);
  const std::string percent = fmt::format("{:3.0f} %", std::floor(100 * *share));
  const std::size_t counts = columns_of(fit(items, {style.columns, false, style.unicode}));
  const std::size_t taken = counts + columns_of(percent) + 3 + 2;  // a separator, two spaces behind the bar
  if (taken + kShortestBar > style.columns) return fit(items, style);
  Item drawn = bar(*share, std::min(kLongestBar, style.columns - taken), style);
  drawn.text += "  " + percent;
  items.insert(items.begin(), std::move(drawn));
  return fit(items, style);
}

std::string number_or_dash(bool known, double value, int digits) {
  return known && std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "-";
}

/// In double quotes, so that a value of several words stays one.
std::string one_quoted(std::string_view text) {
  std::string clean = printable(text);
  std::replace(clean.begin(), clean.end(), '"', '\'');
  return fmt::format("\"{}\"", clean);
}

}  // namespace

std::optional<double> progress_of(const RunStatus& status) {
  std::optional<double> nearest;
  const auto consider = [&](double done, double goal) {
    if (!(goal > 0)) return;
    const double share = std::clamp(done / goal, 0.0, 1.0);
    nearest = std::max(nearest.value_or(0), share);
  };
  consider(static_cast<double>(status.version), static_cast<double>(status.max_versions));
  consider(static_cast<double>(status.updates_accepted), static_cast<double>(status.max_updates));
  // Goals that are not counted here (time, accuracy) show in the estimate.
  if (status.remaining_s >= 0) consider(status.elapsed_s, status.elapsed_s + status.remaining_s);
  return nearest;
}

std::vector<std::string> block_lines(const RunStatus& status, const BlockStyle& style) {
  const bool measured = status.accuracy >= 0;
  return {
      fit({{printable(status.state), kBold},
           {printable(status.strategy)},
           {duration_text(status.elapsed_s)},
           {time_left_text(status)}},
          style),
      goal_line(status, style),
      fit({{accuracy_text(status), kBold},
           {measured ? fmt::format("loss {:.4f}", status.loss) : ""},
           {status.version > 0 ? fmt::format("train loss {:.4f}", status.train_loss) : ""}},
          style),
      fit({{fmt::format("clients: {}", clients_text(status)), status.clients_lost > 0 ? kYellow : kPlain},
           {fmt::format("{} updates/s", rate_text(status.updates_per_s))},
           {fmt::format("staleness {:.1f}", status.staleness_mean)}},
          style),
      fit({waiting(status),
           {status.restarts > 0 ? counted(status.restarts, "restart") : "", kYellow},
           {fmt::format("up {}", bytes_text(status.bytes_up))},
           {fmt::format("down {}", bytes_text(status.bytes_down))}},
          style),
  };
}

std::string plain_line(const RunStatus& status) {
  const bool measured = status.accuracy >= 0;
  std::string line = fmt::format(
      "progress version={} updates={} rejected={} accuracy={} best={} loss={} train_loss={}",
      count_of_goal(status.version, status.max_versions),
      count_of_goal(status.updates_accepted, status.max_updates), status.updates_rejected,
      number_or_dash(measured, status.accuracy, 4),
      number_or_dash(status.best_accuracy >= 0, status.best_accuracy, 4),
      number_or_dash(measured, status.loss, 4), number_or_dash(status.version > 0, status.train_loss, 4));
  line += fmt::format(" updates_per_s={} staleness={} training={} waiting={} lost={}",
                      number_or_dash(true, status.updates_per_s, 2),
                      number_or_dash(true, status.staleness_mean, 2), status.clients_training,
                      status.clients_waiting, status.clients_lost);
  line += fmt::format(" elapsed_s={} left_s={} bytes_up={} bytes_down={} restarts={}",
                      number_or_dash(true, status.elapsed_s, 1),
                      number_or_dash(status.remaining_s >= 0, status.remaining_s, 1), status.bytes_up,
                      status.bytes_down, status.restarts);
  const bool waits = !status.waited_for.empty();
  line += fmt::format(" waited_s={} waiting_for={} state={}", number_or_dash(waits, status.waited_s, 1),
                      waits ? one_quoted(status.waited_for) : "-", one_quoted(status.state));
  return line;
}

std::string status_text(const RunStatus& status) {
  std::string text;
  const auto add = [&](std::string_view label, const std::string& value) {
    text += fmt::format("{:<10}{}\n", label, value);
  };
  const auto share = progress_of(status);
  add("state",
      printable(status.state) + (share ? fmt::format(", {:.0f} % done", std::floor(100 * *share)) : ""));
  add("strategy", printable(status.strategy));
  add("version", count_of_goal(status.version, status.max_versions));
  add("updates", fmt::format("{} accepted, {} rejected, {} a second",
                             count_of_goal(status.updates_accepted, status.max_updates),
                             status.updates_rejected, rate_text(status.updates_per_s)));
  add("accuracy",
      status.accuracy < 0
          ? "not measured yet"
          : fmt::format("{}, best {}, loss {:.4f}", percent_text(status.accuracy),
                        percent_text(std::max(status.accuracy, status.best_accuracy)), status.loss));
  add("staleness", fmt::format("{:.2f} versions on average", status.staleness_mean));
  add("clients", clients_text(status));
  const std::string left = time_left_text(status);
  add("time", fmt::format("{}{}", duration_text(status.elapsed_s), left.empty() ? "" : ", " + left));
  add("waiting", status.waited_for.empty() ? "for nobody"
                                           : fmt::format("{} for {}", duration_text(status.waited_s),
                                                         printable(status.waited_for)));
  add("bytes", fmt::format("{} up, {} down", bytes_text(status.bytes_up), bytes_text(status.bytes_down)));
  add("restarts", fmt::format("{}", status.restarts));
  return text;
}

}  // namespace fl
