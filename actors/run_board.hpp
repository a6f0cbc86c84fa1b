// What actors say all the time and somebody looks at now and then: numbers on a board instead of messages.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "learning/selection/lease_book.hpp"

namespace fl {

/// Thread-safe. Outlives the actors that write on it.
class RunBoard {
 public:
  using TimePoint = LeaseBook::TimePoint;

  /// What earlier lives of the process counted; said once, whenever.
  void begin_at(std::uint64_t up, std::uint64_t down) {
    if (begun_.exchange(true)) return;
    add_up(up);
    add_down(down);
  }
  /// Bytes received from and sent to clients.
  void add_up(std::uint64_t bytes) { up_.fetch_add(bytes, std::memory_order_relaxed); }
  void add_down(std::uint64_t bytes) { down_.fetch_add(bytes, std::memory_order_relaxed); }
  std::uint64_t up() const { return up_.load(std::memory_order_relaxed); }
  std::uint64_t down() const { return down_.load(std::memory_order_relaxed); }

  /// Who is where, as of a moment.
  void show(Roster roster, TimePoint now) {
    const auto lock = std::scoped_lock(mutex_);
    roster_ = std::move(roster);
    shown_at_ = now;
  }
  /// The time that is waited goes on after it was shown.
  Roster roster(TimePoint now) const {
    const auto lock = std::scoped_lock(mutex_);
    auto roster = roster_;
    if (!roster.waited_for.empty()) roster.waited_s += Seconds(now - shown_at_).count();
    return roster;
  }

 private:
  std::atomic<bool> begun_ = false;
  std::atomic<std::uint64_t> up_ = 0;
  std::atomic<std::uint64_t> down_ = 0;
  mutable std::mutex mutex_;
  Roster roster_;
  TimePoint shown_at_;
};

using RunBoardPtr = std::shared_ptr<RunBoard>;

}  // namespace fl
