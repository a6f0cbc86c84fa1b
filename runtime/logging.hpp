// Logging for the whole process: spdlog's default logger, to stderr, as text for people or as JSON for
// machines.
//
// Levels: error: the run fails; warn: something went wrong and was dealt with; info: the few events of a run
// that its owner wants to read beside the display (started, listening, a client joined or was lost, an actor
// restarted, stopped); debug: each task and update; trace: each chunk.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "messages/errors.hpp"

namespace fl {

struct LogOptions {
  std::string level = "info";  ///< trace | debug | info | warn | error | off
  bool json = false;           ///< one object a line: time (UTC, ISO 8601), level, message
};

/// Makes spdlog's default logger write to stderr as the options say. Fails with `bad_config` on an unknown
/// level. May be called again.
Result<void> set_up_logging(const LogOptions& options);

/// While it lives, log lines go to `writer` (each with its newline, one call at a time) instead of stderr:
///   LogRoute route([&](std::string_view line) { display.print_above(line); });
/// The writer must not log. One route at a time.
class LogRoute {
 public:
  explicit LogRoute(std::function<void(std::string_view)> writer);
  LogRoute(const LogRoute&) = delete;
  LogRoute& operator=(const LogRoute&) = delete;
  ~LogRoute();
};

/// While it lives, `hear` is told of each message that is logged at info and above, whatever log.level says.
/// It must not log. One listener at a time.
class LogListener {
 public:
  /// `level`: "info" | "warn" | "error".
  using Hear = std::function<void(std::chrono::system_clock::time_point time, std::string_view level,
                                  std::string_view message)>;
  explicit LogListener(Hear hear);
  LogListener(const LogListener&) = delete;
  LogListener& operator=(const LogListener&) = delete;
  ~LogListener();
};

/// "2026-11-27T15:03:11.042Z"
std::string utc_text(std::chrono::system_clock::time_point time);

/// The line of one log message, newline included.
std::string text_log_line(std::chrono::system_clock::time_point time, std::string_view level,
                          std::string_view message, bool color);
std::string json_log_line(std::chrono::system_clock::time_point time, std::string_view level,
                          std::string_view message);

}  // namespace fl
