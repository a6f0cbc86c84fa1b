// One direction of a connection, shared by the clients of a process: all their chunks pass one flow control,
// in turn. With a window for each, a hundred clients would put a hundred chunks into the buffers of both
// ends, which never shrink again, and heartbeats would wait behind them.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "actors/flow_control.hpp"

namespace fl {

class SharedLink;

/// The place of one chunk on the link; free again when this is destroyed, whatever became of the chunk.
class Passage {
 public:
  Passage(std::shared_ptr<SharedLink> link, std::uint32_t chunk_bytes, FlowControl::TimePoint since);
  ~Passage();
  Passage(const Passage&) = delete;
  Passage& operator=(const Passage&) = delete;

  /// The most that the chunk may have, in bytes.
  std::uint32_t chunk_bytes() const { return chunk_bytes_; }

  bool is_of(const SharedLink& link) const { return link_.get() == &link; }

  /// The other end has the chunk. Only the first call counts.
  void acknowledged(std::uint64_t bytes, FlowControl::TimePoint now);

 private:
  std::shared_ptr<SharedLink> link_;
  std::uint32_t chunk_bytes_;
  FlowControl::TimePoint since_;
  bool ended_ = false;
};

using PassagePtr = std::shared_ptr<Passage>;

/// Used by many threads. Owned by shared pointers, as passages outlive whoever entered.
class SharedLink : public std::enable_shared_from_this<SharedLink> {
 public:
  /// Called once, from any thread, when it is one's turn. Who has no more use for the passage drops it, and
  /// the next has its turn.
  using Grant = std::function<void(PassagePtr)>;

  /// Null where the link is full or others wait: then `grant` is called later. Who waits already keeps its
  /// place.
  PassagePtr enter(std::uint64_t who, FlowControl::TimePoint now, Grant grant);

 private:
  friend class Passage;

  struct Waiting {
    std::uint64_t who = 0;
    Grant grant;
  };

  PassagePtr passage();
  /// Without `bytes`: nothing is known of the chunk.
  void leave(FlowControl::TimePoint since, std::optional<std::uint64_t> bytes, FlowControl::TimePoint now);

  std::mutex mutex_;
  FlowControl flow_;
  FlowControl::TimePoint now_;  ///< the latest that anybody has told
  std::deque<Waiting> waiting_;
};

using SharedLinkPtr = std::shared_ptr<SharedLink>;

}  // namespace fl
