#include "runtime/signals.hpp"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace fl {

namespace {

constexpr int kInterruptedExit = 130;
std::atomic<int> signals_received = 0;
std::atomic<bool> reload_wanted = false;
static_assert(std::atomic<int>::is_always_lock_free, "used in a signal handler");

extern "C" void on_hangup(int) {
  reload_wanted = true;
}

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

void watch_reload_signal() {
  struct sigaction action = {};
  action.sa_handler = on_hangup;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGHUP, &action, nullptr);
}

bool take_reload_request() {
  return reload_wanted.exchange(false);
}

bool interrupted() {
  return signals_received > 0;
}

}  // namespace fl
