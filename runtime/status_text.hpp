// How a RunStatus reads: as the block of a terminal, as a plain line of a log, as the answer to `status
// HOST`. Pure functions; what draws the block in place is runtime/progress.hpp.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "messages/run_status.hpp"

namespace fl {

/// How far a run is on the way to its nearest goal, in [0, 1]; none when it has no goal that can be measured.
std::optional<double> progress_of(const RunStatus& status);

/// What the place that shows the block can show.
struct BlockStyle {
  std::size_t columns = 80;  ///< no line is longer; what does not fit is left out from the right
  bool color = false;        ///< ANSI colours
  bool unicode = true;       ///< else ASCII only
};

/// The block of the progress display: five lines, always, so that it does not jump.
std::vector<std::string> block_lines(const RunStatus& status, const BlockStyle& style);

/// One line of `key=value`, the same keys in the same order always; "-" where there is no value:
/// progress version=3/10 updates=9/30 rejected=0 accuracy=0.9712 best=0.9712 loss=0.0912 train_loss=0.1203
/// updates_per_s=1.52 staleness=0.30 training=3 waiting=0 lost=0 elapsed_s=12.3 left_s=28.7 bytes_up=…
/// bytes_down=… restarts=0 waited_s=0.4 waiting_for="client-3" state="training"
std::string plain_line(const RunStatus& status);

/// Several lines for people, each ended by a newline.
std::string status_text(const RunStatus& status);

}  // namespace fl
