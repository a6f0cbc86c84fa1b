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

NodeInbox::NodeInbox(caf::actor_system& system, VirtualClock* clock) : self_(system), clock_(clock) {}

caf::actor NodeInbox::handle() {
  return caf::actor_cast<caf::actor>(self_);
}

Result<void> NodeInbox::begin(const supervisor_actor& supervisor) {
  const auto begun = request<bool>(supervisor, kStartTimeout, begin_atom_v);
  take_news(std::chrono::milliseconds(0));
  if (!begun) return tl::unexpected(begun.error());
  return {};
}

bool NodeInbox::let_happen(const std::function<bool()>& done, std::chrono::milliseconds timeout) {
  return clock_->run(done, std::chrono::steady_clock::now() + timeout);
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
    auto patience = std::min(left, kSignalPoll);
    if (clock_ != nullptr) {
      const auto has_mail = [this] { return !self_->mailbox().empty(); };
      if (!end_ && !let_happen(has_mail, patience) && !has_mail())
        end_ =
            RunEnd{RunEnd::Kind::failed, "the simulation has come to a standstill: nobody will act any more"};
      patience = std::chrono::milliseconds(0);
    }
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
        caf::after(patience) >> [&] { heard = false; });
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
      if (const auto status = request<RunStatus>(peers_->metrics, kStatusTimeout, status_atom_v))
        show(*status);
    }
    take_news(kRefresh);
  }
  return *end_;
}

void NodeInbox::stop(const supervisor_actor& supervisor) {
  (void)request<bool>(supervisor, kStopTimeout, stop_atom_v);
  peers_ = nullptr;
  // Who was told to end does so.
  if (clock_ != nullptr) let_happen([] { return true; }, std::chrono::milliseconds(0));
}

}  // namespace fl
