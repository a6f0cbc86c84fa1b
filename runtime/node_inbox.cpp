#include "runtime/node_inbox.hpp"

#include "runtime/signals.hpp"

namespace fl {

namespace {

constexpr auto kStartTimeout = std::chrono::seconds(60);
constexpr auto kStopTimeout = std::chrono::seconds(60);
constexpr auto kStatusTimeout = std::chrono::seconds(2);
constexpr auto kRefresh = std::chrono::milliseconds(500);
/// How often a signal is looked for.
constexpr auto kSignalPoll = std::chrono::milliseconds(50);

}  // namespace

NodeInbox::NodeInbox(caf::actor_system& system) : self_(system) {}

caf::actor NodeInbox::handle() {
  return caf::actor_cast<caf::actor>(self_);
}

Result<void> NodeInbox::begin(const supervisor_actor& supervisor) {
  auto begun = Result<void>();
  self_->request(supervisor, kStartTimeout, begin_atom_v)
      .receive([](bool) {}, [&](const caf::error& error) { begun = tl::unexpected(from_caf(error)); });
  take_news(std::chrono::milliseconds(0));
  return begun;
}

void NodeInbox::take_news(std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  auto first = true;
  while (first || std::chrono::steady_clock::now() < until) {
    first = false;
    const auto left = std::max(
        std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()),
        std::chrono::milliseconds(0));
    auto heard = true;
    self_->receive(
        [&](wire_atom, const PeersPtr& peers) {
          peers_ = peers;
          if (tell_) tell_(*peers_);
        },
        [&](over_atom, const std::string& reason) {
          if (!end_) end_ = RunEnd{RunEnd::Kind::goal, reason};
        },
        [&](stop_atom) {
          if (!end_) end_ = RunEnd{RunEnd::Kind::stopped, "stopped on request"};
        },
        [&](lost_atom, const std::string& reason) {
          end_ = RunEnd{RunEnd::Kind::failed, reason};
        },
        caf::after(std::min(left, kSignalPoll)) >> [&] { heard = false; });
    if (heard) first = true;
    if (reload_ && take_reload_request()) reload_();
    if (interrupted() && !end_) end_ = RunEnd{RunEnd::Kind::interrupted, "interrupted by a signal"};
    if (end_ && !heard) return;
  }
}

RunEnd NodeInbox::wait_for_end(const std::function<void(const RunStatus&)>& show,
                               const std::function<void()>& alive) {
  while (!end_) {
    if (alive) alive();
    if (peers_ && peers_->metrics) {
      self_->request(peers_->metrics, kStatusTimeout, status_atom_v)
          .receive([&](const RunStatus& status) { show(status); }, [](const caf::error&) {});
    }
    take_news(kRefresh);
  }
  return *end_;
}

void NodeInbox::stop(const supervisor_actor& supervisor) {
  self_->request(supervisor, kStopTimeout, stop_atom_v).receive([](bool) {}, [](const caf::error&) {});
  peers_ = nullptr;
}

}  // namespace fl
