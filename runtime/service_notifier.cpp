#include "runtime/service_notifier.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "messages/file_source.hpp"

namespace fl {

namespace {

/// Signs of life are sent no more often than this; a sensible WatchdogSec is many times longer.
constexpr auto kPause = std::chrono::seconds(1);

/// A line of a status has no line breaks of its own.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

void tell(const std::string& text) {
  const auto* const path = std::getenv("NOTIFY_SOCKET");
  auto address = sockaddr_un();
  if (path == nullptr || std::strlen(path) < 2 || std::strlen(path) >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path);
  if (path[0] == '@') address.sun_path[0] = '\0';  // an abstract name
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  const auto socket = FileDescriptor(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return;
  (void)::sendto(socket.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                 reinterpret_cast<const sockaddr*>(&address), length);
}

}  // namespace

void ServiceNotifier::alive(bool ready, const std::string& status) {
  const auto now = std::chrono::steady_clock::now();
  const auto news = ready && !said_ready_;
  if (!news && now - told_at_ < kPause) return;
  told_at_ = now;
  said_ready_ = said_ready_ || ready;
  tell((news ? "READY=1\nWATCHDOG=1\nSTATUS=" : "WATCHDOG=1\nSTATUS=") + one_line(status));
}

void ServiceNotifier::stopping(const std::string& reason) {
  tell("STOPPING=1\nSTATUS=" + one_line(reason));
}

}  // namespace fl
