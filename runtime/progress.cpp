#include "runtime/progress.hpp"

#include <spdlog/fmt/fmt.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "runtime/quantities.hpp"
#include "runtime/status_text.hpp"
#include "runtime/write_all.hpp"

namespace fl {
namespace {

/// A plain log shows at least so often that the run is alive.
constexpr std::chrono::seconds kPlainInterval{30};

/// Line by line: some terminals (tmux) keep in their history what is cleared by the screen.
constexpr std::string_view kUpAndClear = "\x1b[A\x1b[2K";

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view{} : value;
}

bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string_view value = environment(name);
    if (value.empty()) continue;
    return value.find("UTF-8") != value.npos || value.find("utf8") != value.npos;
  }
  return false;
}

TerminalSize stdout_size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

bool same_terminal(int a, int b) {
  struct stat of_a {};
  struct stat of_b {};
  return ::isatty(a) != 0 && ::isatty(b) != 0 && ::fstat(a, &of_a) == 0 && ::fstat(b, &of_b) == 0 &&
         of_a.st_rdev == of_b.st_rdev;
}

bool same_point(const RunStatus& a, const RunStatus& b) {
  return a.version == b.version && a.state == b.state;
}

}  // namespace

ProgressOutput standard_progress_output(bool enabled) {
  const std::string_view terminal = environment("TERM");
  const bool can_redraw = ::isatty(STDOUT_FILENO) != 0 && !terminal.empty() && terminal != "dumb";
  ProgressOutput output;
  output.mode = !enabled ? ProgressMode::silent : can_redraw ? ProgressMode::block : ProgressMode::plain;
  output.color = can_redraw && environment("NO_COLOR").empty();
  output.unicode = locale_is_utf8();
  output.log_on_same_terminal = same_terminal(STDOUT_FILENO, STDERR_FILENO);
  output.write = [](std::string_view text) { write_all(STDOUT_FILENO, text); };
  output.write_log = [](std::string_view text) { write_all(STDERR_FILENO, text); };
  output.size = stdout_size;
  return output;
}

ProgressDisplay::ProgressDisplay(ProgressOutput output) : output_(std::move(output)) {}

ProgressDisplay::~ProgressDisplay() {
  finish();
}

void ProgressDisplay::show(const RunStatus& status, TimePoint now) {
  const std::scoped_lock lock(mutex_);
  if (finished_ || output_.mode == ProgressMode::silent) return;
  status_ = status;
  if (output_.mode == ProgressMode::block) {
    draw();
  } else if (!printed_ || !same_point(*printed_, status) || now - printed_at_ >= kPlainInterval) {
    print_line(now);
  }
}

void ProgressDisplay::print_above(std::string_view lines) {
  const std::scoped_lock lock(mutex_);
  const bool in_the_way = !drawn_columns_.empty() && output_.log_on_same_terminal;
  if (in_the_way) {
    output_.write(erase());
    drawn_columns_.clear();
  }
  output_.write_log(lines);
  if (in_the_way) draw();
}

void ProgressDisplay::finish() {
  const std::scoped_lock lock(mutex_);
  if (finished_) return;
  finished_ = true;
  // The last plain line says how the run stood in the end, not when its last version began.
  if (output_.mode == ProgressMode::plain && status_ && plain_line(*status_) != plain_line(*printed_)) {
    print_line(printed_at_);
  }
  drawn_columns_.clear();
}

void ProgressDisplay::draw() {
  const TerminalSize size = output_.size();
  // The last column stays free: terminals differ in what a full line does to the cursor.
  const std::size_t columns = std::max<std::size_t>(size.columns, 2) - 1;
  std::vector<std::string> lines = block_lines(*status_, {columns, output_.color, output_.unicode});
  // A block higher than the window would scroll at each drawing; one row is the cursor's.
  lines.resize(std::min(lines.size(), std::max<std::size_t>(size.rows, 2) - 1));

  // Erased and drawn in one piece, so that nothing flickers.
  std::string text = drawn_columns_.empty() ? std::string{} : erase();
  const std::vector<std::string> bare = block_lines(*status_, {columns, false, output_.unicode});
  drawn_columns_.clear();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    text += lines[i] + "\n";
    drawn_columns_.push_back(columns_of(bare[i]));
  }
  output_.write(text);
}

std::string ProgressDisplay::erase() const {
  // A window made narrower since the drawing has wrapped the longer lines.
  const std::size_t columns = std::max<std::size_t>(output_.size().columns, 1);
  std::size_t rows = 0;
  for (const std::size_t length : drawn_columns_) {
    rows += std::max<std::size_t>(1, (length + columns - 1) / columns);
  }
  std::string text = "\r";
  for (std::size_t row = 0; row < rows; ++row) text += kUpAndClear;
  return text;
}

void ProgressDisplay::print_line(TimePoint now) {
  output_.write(plain_line(*status_) + "\n");
  printed_ = status_;
  printed_at_ = now;
}

}  // namespace fl
