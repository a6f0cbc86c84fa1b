#include "actors/shared_link.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace fl {

Passage::Passage(std::shared_ptr<SharedLink> link, std::uint32_t chunk_bytes, FlowControl::TimePoint since)
    : link_(std::move(link)), chunk_bytes_(chunk_bytes), since_(since) {}

Passage::~Passage() {
  if (!ended_) link_->leave(since_, std::nullopt, since_);
}

void Passage::acknowledged(std::uint64_t bytes, FlowControl::TimePoint now) {
  if (!std::exchange(ended_, true)) link_->leave(since_, bytes, now);
}

PassagePtr SharedLink::enter(std::uint64_t who, FlowControl::TimePoint now, Grant grant) {
  const auto lock = std::lock_guard(mutex_);
  now_ = std::max(now_, now);
  if (waiting_.empty() && flow_.may_send()) return passage();
  if (std::ranges::find(waiting_, who, &Waiting::who) == waiting_.end())
    waiting_.push_back({who, std::move(grant)});
  return nullptr;
}

PassagePtr SharedLink::passage() {
  flow_.sent(now_);
  return std::make_shared<Passage>(shared_from_this(), flow_.chunk_bytes(), now_);
}

void SharedLink::leave(FlowControl::TimePoint since, std::optional<std::uint64_t> bytes,
                       FlowControl::TimePoint now) {
  auto turns = std::vector<std::pair<Grant, PassagePtr>>();
  {
    const auto lock = std::lock_guard(mutex_);
    now_ = std::max(now_, now);
    if (bytes)
      flow_.acknowledged(*bytes, since, now_);
    else
      flow_.lost();
    while (!waiting_.empty() && flow_.may_send()) {
      turns.emplace_back(std::move(waiting_.front().grant), passage());
      waiting_.pop_front();
    }
  }
  for (auto& [grant, passage] : turns) grant(std::move(passage));
}

}  // namespace fl
