// How large the buffer is with strategy.buffer_size = "auto".
//
// While a client works on one task, others fill buffers. With W tasks under way and K updates to a version,
// the client comes back W / K versions later: W = arrivals a second · seconds a task (Little 1961) updates
// were folded meanwhile. That number is counted for each update, whatever K was, and
//
//   K = W / τ*        W: mean updates folded during a task        τ* = strategy.buffer_staleness
//
// keeps the mean staleness at τ*, for any number of clients, their speeds and their absences. K is also at
// least the number of updates that arrive in kMinVersionSeconds: a version costs the server as much however
// many it holds.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "messages/ids.hpp"

namespace fl {

class BufferTuner {
 public:
  /// Versions come no faster, as far as the clients are enough to fill larger buffers.
  static constexpr double kMinVersionSeconds = 0.05;

  /// K stays while what would be right is within this share of it: a new K is news for people.
  static constexpr double kTolerance = 0.2;

  /// Versions whose updates are looked back upon; older ones are those of clients that were away.
  static constexpr std::size_t kVersionsBack = 1'000;

  /// `target`: τ*, > 0.
  explicit BufferTuner(double target) : target_(target) {}

  /// An update that began from `base` was folded. What began before the first version of note_version says
  /// nothing: then all clients had begun at once.
  void note_update(Version base);

  /// `made` is full and was made at `now_s` seconds of the run, while K was `size`. Returns the K from now
  /// on, if it is to be another.
  std::optional<std::uint32_t> note_version(Version made, double now_s, std::uint32_t size);

  double under_way() const { return under_way_; }          ///< W, tasks; 0: not known yet
  double updates_per_s() const { return updates_per_s_; }  ///< 0: not known yet

 private:
  std::uint64_t folded_at(Version version) const { return folded_at_[version - first_]; }
  void learn(double now_s);

  double target_;
  double under_way_ = 0;
  double updates_per_s_ = 0;
  std::uint64_t folded_ = 0;             ///< updates so far
  std::deque<std::uint64_t> folded_at_;  ///< of the newest versions, when each was made
  Version first_ = 0;                    ///< of these
  double ages_ = 0;                      ///< Σ updates folded during a task, since the last version
  std::uint64_t aged_ = 0;               ///< tasks in that sum
  std::uint64_t folded_before_ = 0;      ///< when the last version was made
  std::optional<double> made_s_;         ///< and when that was
};

}  // namespace fl
