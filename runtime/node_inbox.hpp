// The node's own mailbox: what the main thread hears of its actors, and what it asks them.
#pragma once

#include <caf/all.hpp>
#include <functional>
#include <optional>
#include <string>

#include "actors/actors.hpp"
#include "runtime/virtual_clock.hpp"

namespace fl {

/// Why the main thread stops waiting.
struct RunEnd {
  enum class Kind : std::uint8_t {
    goal,         ///< a goal was reached, or a client was told that the run is over
    stopped,      ///< somebody said `fl_actor_node stop`
    interrupted,  ///< SIGINT or SIGTERM
    failed,       ///< an actor crashed too often, or a client was refused
  };
  Kind kind = Kind::failed;
  std::string reason;
};

class NodeInbox {
 public:
  /// With a clock, whoever waits here lets the simulation go on meanwhile; timeouts are the wall's then.
  explicit NodeInbox(caf::actor_system& system, VirtualClock* clock = nullptr);

  /// Where actors of the run send what the node shall know (Peers::node).
  caf::actor handle();

  /// Starts the supervisor's children; fails when they do not stand in time.
  Result<void> begin(const supervisor_actor& supervisor);

  /// Waits for the end; calls `show` about twice a second with how the run goes, where there is a metrics
  /// actor, and `alive` as often in any case.
  RunEnd wait_for_end(const std::function<void(const RunStatus&)>& show,
                      const std::function<void()>& alive = {});

  /// What to do at SIGHUP, when it is watched.
  void on_reload(std::function<void()> reload) { reload_ = std::move(reload); }

  /// What to do whenever there are new handles.
  void on_peers(std::function<void(const Peers&)> tell) { tell_ = std::move(tell); }

  void stop(const supervisor_actor& supervisor);

  VirtualClock* clock() const { return clock_; }

  /// Newest handles; the supervisor sends new ones after each restart.
  const Peers& peers() const { return *peers_; }
  bool has_peers() const { return peers_ != nullptr; }

  /// Asks and waits. `to`, a member of Peers or a function of it, is looked up anew for each attempt, because
  /// its actor may be restarting.
  template <class Answer, class To, class... Arguments>
  Result<Answer> ask(To to, std::chrono::milliseconds timeout, const Arguments&... arguments) {
    auto answer = Result<Answer>(fail(ec::unavailable, "nobody to ask"));
    for (auto attempt = 0; attempt < kAttempts; ++attempt) {
      take_news(attempt == 0 ? std::chrono::milliseconds(0) : kRetryPause);
      if (!peers_ || !std::invoke(to, *peers_)) continue;
      answer = request<Answer>(std::invoke(to, *peers_), timeout, arguments...);
      if (answer || answer.error().code != ec::unreachable) break;
    }
    return answer;
  }

  caf::scoped_actor& self() { return self_; }

 private:
  static constexpr int kAttempts = 5;
  static constexpr auto kRetryPause = std::chrono::milliseconds(500);

  template <class Answer, class Handle, class... Arguments>
  Result<Answer> request(const Handle& to, std::chrono::milliseconds timeout, const Arguments&... arguments) {
    auto answer = std::make_shared<Result<Answer>>(fail(ec::unavailable, "there was no answer"));
    auto done = std::make_shared<bool>(false);
    const auto heard = [=](const Answer& value) { *answer = value, *done = true; };
    const auto failed = [=](const caf::error& error) {
      *answer = tl::unexpected(from_caf(error));
      *done = true;
    };
    if (clock_ == nullptr) {
      self_->request(to, timeout, arguments...).receive(heard, failed);
      return *answer;
    }
    // Nobody else works while this thread waits, so somebody else asks while it works.
    self_->system().spawn([=](caf::event_based_actor* asker) {
      asker->request(to, caf::infinite, arguments...).then(heard, failed);
    });
    let_happen([done] { return *done; }, timeout);
    return *answer;
  }

  /// In virtual time.
  bool let_happen(const std::function<bool()>& done, std::chrono::milliseconds timeout);

  /// Handles what has come, for so long.
  void take_news(std::chrono::milliseconds time);

  caf::scoped_actor self_;
  VirtualClock* clock_;
  PeersPtr peers_;
  std::optional<RunEnd> end_;
  std::function<void()> reload_;
  std::function<void(const Peers&)> tell_;
};

/// Stops the actors at the latest when the scope is left, also by an exception: their system's end would wait
/// for them for ever.
class RunningActors {
 public:
  RunningActors(NodeInbox& inbox, supervisor_actor supervisor)
      : inbox_(inbox), supervisor_(std::move(supervisor)) {}
  RunningActors(const RunningActors&) = delete;
  ~RunningActors() { stop(); }

  void stop() {
    if (supervisor_) inbox_.stop(std::exchange(supervisor_, nullptr));
  }

 private:
  NodeInbox& inbox_;
  supervisor_actor supervisor_;
};

}  // namespace fl
