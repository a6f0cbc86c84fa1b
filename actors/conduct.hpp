// How clients that misbehave are met: limits on what they may ask, strikes, and a log that they cannot fill.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "actors/run_storage.hpp"

namespace fl {

/// What clients may send (`validate.*`).
struct ConductOptions {
  double max_update_norm = 0;          ///< L2, of what travels; 0: no limit
  std::uint32_t strikes = 5;           ///< offences until a client is quarantined; 0: never
  double max_requests_per_second = 0;  ///< of one session; 0: no limit
};

/// So many a second on average, and so many at once. Plain class; time is passed in.
class TokenBucket {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// Both ≥ 0; it begins full.
  TokenBucket(double tokens_per_s, double most) : rate_(tokens_per_s), most_(most), tokens_(most) {}

  /// Takes one; false: there is none.
  bool take(TimePoint now);

 private:
  double rate_;
  double most_;
  double tokens_;
  std::optional<TimePoint> filled_at_;
};

/// Tells a flood of requests from work. A flood is an offence once a second, however many requests it has, so
/// that a hasty client has some seconds to find out.
class FloodGuard {
 public:
  using TimePoint = TokenBucket::TimePoint;
  enum class Verdict : std::uint8_t { pass, refuse, offence };

  /// Twice that many may come at once. 0: no limit.
  explicit FloodGuard(double requests_per_s);

  Verdict request(TimePoint now);

 private:
  double limit_;
  TokenBucket requests_;
  TokenBucket offences_;
};

/// Keeps one source of log lines from filling the log: a few at once, then one every ten seconds, which says
/// how many were left out.
class LogLimit {
 public:
  /// What to add to the end of the line: nothing, or " (and 7 more before)". None: leave this line out.
  std::optional<std::string> next(TokenBucket::TimePoint now);

 private:
  TokenBucket lines_{0.1, 10};
  std::uint64_t left_out_ = 0;
};

/// Counts a refusal against a client; nothing happens unless it is an offence. Returns whether the client is
/// quarantined now. `error` is told how many strikes there are, for the client to read.
bool strike(RunStorage& storage, const std::string& client, const ConductOptions& options, Error& error);

/// Fails with `quarantined`, saying why and what the owner of the run can do, when the client is.
Result<void> check_quarantine(RunStorage& storage, const std::string& client);

}  // namespace fl
