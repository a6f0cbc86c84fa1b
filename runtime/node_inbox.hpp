// The node's own mailbox: what the main thread hears of its actors, and what it asks them.
#pragma once

#include <caf/all.hpp>
#include <functional>
#include <optional>
#include <string>

#include "actors/actors.hpp"

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
  explicit NodeInbox(caf::actor_system& system);

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
      self_->request(std::invoke(to, *peers_), timeout, arguments...)
          .receive([&](const Answer& value) { answer = value; },
                   [&](const caf::error& error) { answer = tl::unexpected(from_caf(error)); });
      if (answer || answer.error().code != ec::unreachable) break;
    }
    return answer;
  }

  caf::scoped_actor& self() { return self_; }

 private:
  static constexpr int kAttempts = 5;
  static constexpr auto kRetryPause = std::chrono::milliseconds(500);

  /// Handles what has come, for so long.
  void take_news(std::chrono::milliseconds time);

  caf::scoped_actor self_;
  PeersPtr peers_;
  std::optional<RunEnd> end_;
  std::function<void()> reload_;
  std::function<void(const Peers&)> tell_;
};

}  // namespace fl
