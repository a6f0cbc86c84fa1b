// The progress display: one block that is redrawn in place on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "messages/run_status.hpp"

namespace fl {

enum class ProgressMode {
  block,   ///< redrawn in place; for terminals
  plain,   ///< a line a new version or state, and one every 30 s when nothing changes
  silent,  ///< nothing
};

struct TerminalSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};

/// Where a display writes, and what it may use there.
struct ProgressOutput {
  ProgressMode mode = ProgressMode::plain;
  bool color = false;                ///< ANSI colours
  bool unicode = false;              ///< else ASCII only
  bool log_on_same_terminal = true;  ///< log lines must make room for the block
  std::function<void(std::string_view)> write;
  std::function<void(std::string_view)> write_log;
  std::function<TerminalSize()> size;  ///< asked before each drawing: windows are resized
};

/// Progress on stdout, log lines on stderr. The block needs a terminal that is not TERM=dumb; NO_COLOR
/// switches colours off; `--no-progress` (enabled = false) is silence.
ProgressOutput standard_progress_output(bool enabled);

/// Thread-safe. Feed it about twice a second; never log from within its functions.
class ProgressDisplay {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit ProgressDisplay(ProgressOutput output);
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;
  ~ProgressDisplay();  ///< finishes

  /// Shows how the run goes at this moment.
  void show(const RunStatus& status, TimePoint now = std::chrono::steady_clock::now());

  /// Prints whole lines of the log (each ended by a newline) above the block. What runtime/logging.hpp is
  /// given.
  void print_above(std::string_view lines);

  /// Leaves the last state where it stands and shows nothing more: what is printed later comes below.
  void finish();

 private:
  void draw();                ///< the block, over the one that stands there
  std::string erase() const;  ///< control sequence that removes the block
  void print_line(TimePoint now);

  std::mutex mutex_;
  ProgressOutput output_;
  std::optional<RunStatus> status_;   ///< the newest
  std::optional<RunStatus> printed_;  ///< plain: of the last line
  TimePoint printed_at_{};
  std::vector<std::size_t> drawn_columns_;  ///< block: length of each line on the screen
  bool finished_ = false;
};

}  // namespace fl
