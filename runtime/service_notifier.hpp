// Tells the service manager how this node is: systemd's notification protocol (sd_notify(3)), for units with
// Type=notify and WatchdogSec. Does nothing where nobody listens ($NOTIFY_SOCKET is not set).
#pragma once

#include <chrono>
#include <string>

namespace fl {

class ServiceNotifier {
 public:
  /// The node answers; `ready` for the first time: it has started. `status` is shown by `systemctl status`.
  void alive(bool ready, const std::string& status);
  /// It has begun to end.
  void stopping(const std::string& reason);

 private:
  bool said_ready_ = false;
  std::chrono::steady_clock::time_point told_at_{};
};

}  // namespace fl
