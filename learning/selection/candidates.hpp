// Clients that wait for work: any of them at random, or the one that has waited longest, each in constant
// time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "messages/ids.hpp"

namespace fl {

class Candidates {
 public:
  std::size_t size() const { return clients_.size(); }
  bool empty() const { return clients_.empty(); }
  /// `index` < size(). The order says nothing, but is the same after the same calls.
  ClientId at(std::size_t index) const { return clients_[index]; }

  bool contains(ClientId client) const {
    return client < places_.size() && places_[client].index != kNowhere;
  }

  /// At the end of the queue; one that is there keeps its place.
  void add(ClientId client) {
    if (contains(client)) return;
    if (client >= places_.size()) places_.resize(client + std::size_t{1});
    places_[client] = {clients_.size(), ++last_ticket_};
    clients_.push_back(client);
    queue_.emplace_back(client, last_ticket_);
  }

  void remove(ClientId client) {
    if (!contains(client)) return;
    const auto index = places_[client].index;
    clients_[index] = clients_.back();
    places_[clients_[index]].index = index;
    clients_.pop_back();
    places_[client].index = kNowhere;
    // Whoever left has a place in the queue until it comes to the front, or there are too many of them.
    while (!queue_.empty() && !is_current(queue_.front())) queue_.pop_front();
    if (queue_.size() > 2 * clients_.size() + 64)
      std::erase_if(queue_, [this](const auto& one) { return !is_current(one); });
  }

  /// Who has waited longest; there must be one.
  ClientId oldest() const { return queue_.front().first; }

 private:
  static constexpr auto kNowhere = static_cast<std::size_t>(-1);

  using Ticket = std::pair<ClientId, std::uint64_t>;
  struct Place {
    std::size_t index = kNowhere;
    std::uint64_t ticket = 0;
  };

  bool is_current(const Ticket& ticket) const {
    return contains(ticket.first) && places_[ticket.first].ticket == ticket.second;
  }

  std::vector<ClientId> clients_;
  std::vector<Place> places_;  ///< by client
  std::deque<Ticket> queue_;   ///< its front is current
  std::uint64_t last_ticket_ = 0;
};

}  // namespace fl
