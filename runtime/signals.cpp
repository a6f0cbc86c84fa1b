#include "runtime/signals.hpp"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace fl {

namespace {

constexpr int kInterruptedExit = 130;
std::atomic<int> signals_received = 0;
static_assert(std::atomic<int>::is_always_lock_free, "used in a signal handler");

extern "C" void on_signal(int) {
  if (signals_received.fetch_add(1) > 0) ::_exit(kInterruptedExit);
}

}  // namespace

void watch_signals() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

bool interrupted() {
  return signals_received > 0;
}

}  // namespace fl
