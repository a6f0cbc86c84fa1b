// Crashes on purpose: `chaos.crash = ["aggregator@version=3", "client-2@task=2"]`, for people who want to
// watch recovery and for tests of it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "messages/errors.hpp"

namespace fl {

/// Which actors crash when. Lives outside the actors, so that each entry strikes once although its actor
/// comes back.
///
///   entry                     crashes
///   aggregator@version=N      about to publish version N
///   scheduler@lease=N         at its Nth lease
///   gateway@hello=N           at the Nth hello
///   evaluator@version=N       asked to evaluate version N
///   metrics@version=N         told of version N
///   checkpointer@snapshot=N   asked for its Nth snapshot
///   session-I@update=N        at the Nth update of client I
///   client-I@task=N           at the Nth task of client I (of this process)
///   trainer-I@task=N          at the Nth task of trainer I
///   process@write=N           not an actor but the whole process, as by kill -9, at the Nth step of its life
///   at
///                             which something reaches the disk (runtime/durable_steps.hpp)
///
/// N counts from 1; versions are the model's. Thread-safe.
class Chaos {
 public:
  Chaos() = default;

  /// Fails with `bad_config`, naming the entry and the form it should have.
  static Result<std::shared_ptr<Chaos>> parse(const std::vector<std::string>& entries);

  /// N of "process@write=N"; 0: none. For whoever starts the process.
  std::uint64_t dies_at_write() const { return dies_at_write_; }

  /// Throws std::runtime_error if `actor` shall crash when `moment` is `n`.
  void strike_at(std::string_view actor, std::string_view moment, std::uint64_t n);

  /// Counts one more of `moment` for `actor`, over its restarts, and throws if it shall crash at this one.
  void strike_next(std::string_view actor, std::string_view moment);

 private:
  std::mutex mutex_;
  std::set<std::string> entries_;  ///< not struck yet
  std::map<std::string, std::uint64_t> counts_;
  std::uint64_t dies_at_write_ = 0;
};

using ChaosPtr = std::shared_ptr<Chaos>;

}  // namespace fl
