// How large the chunks of one transfer are, and how many travel at once. Large enough to be fast, small
// enough that a slow link neither looks dead nor makes others wait: a chunk takes at most half a second, all
// in flight at most one. Twice what fills the link (rate times the shortest answer time) is in flight, as in
// BBR (Cardwell et al. 2016): more would only wait in the buffers of both ends.
#pragma once

#include <chrono>
#include <cstdint>

namespace fl {

class FlowControl {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  static constexpr std::uint32_t kMinChunk_bytes = 64u << 10;
  static constexpr std::uint32_t kMaxChunk_bytes =
      512u << 10;                                   // larger ones are no faster, and ten clients' add up
  static constexpr std::uint32_t kMinInFlight = 2;  ///< but one, where two take more than a second
  static constexpr std::uint32_t kMaxInFlight = 8;

  /// Length of the next chunk, in bytes.
  std::uint32_t chunk_bytes() const { return chunk_bytes_; }

  /// Whether another chunk may be sent before one is acknowledged.
  bool may_send() const { return in_flight_ < window_; }

  void sent(TimePoint now);
  /// What was sent at `sent_at` has arrived.
  void acknowledged(std::uint64_t bytes, TimePoint sent_at, TimePoint now);
  /// No answer to one will come; what was learned of the link stays.
  void lost();

  std::uint32_t in_flight() const { return in_flight_; }

 private:
  std::uint32_t chunk_bytes_ = 256u << 10;
  std::uint32_t window_ = 4;
  std::uint32_t in_flight_ = 0;
  TimePoint busy_since_;   ///< since when something has been in flight without a pause
  double busy_bytes_ = 0;  ///< acknowledged since then
  double rate_ = 0;        ///< bytes a second, smoothed; 0: unknown
  double answer_s_ = 0;    ///< the shortest time from sending to answer, slowly forgotten; 0: unknown
};

}  // namespace fl
