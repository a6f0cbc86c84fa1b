#include "actors/flow_control.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>

using fl::FlowControl;

namespace {

using Seconds = std::chrono::duration<double>;

/// A link of constant rate that sends one chunk behind the other, each answered after the way there and back.
class Link {
 public:
  explicit Link(double bytes_per_s, double way_s = 0) : bytes_per_s_(bytes_per_s), way_s_(way_s) {}

  /// Sends as the flow control allows until so many chunks have arrived.
  void transfer(FlowControl& flow, int chunks) {
    for (auto done = 0; done < chunks; ++done) {
      while (flow.may_send()) {
        const auto bytes = flow.chunk_bytes();
        flow.sent(now_);
        free_at_ = std::max(free_at_, now_) + duration(bytes / bytes_per_s_);
        answers_.push_back({bytes, now_, free_at_ + duration(way_s_)});
      }
      const auto [bytes, sent_at, answered_at] = answers_.front();
      answers_.pop_front();
      now_ = answered_at;
      flow.acknowledged(bytes, sent_at, now_);
    }
  }

  /// Forgets what is under way.
  void cut(FlowControl& flow) {
    for (; !answers_.empty(); answers_.pop_front()) flow.lost();
  }

  double elapsed_s() const { return Seconds(now_.time_since_epoch()).count(); }

 private:
  static FlowControl::TimePoint::duration duration(double seconds) {
    return std::chrono::duration_cast<FlowControl::TimePoint::duration>(Seconds(seconds));
  }

  double bytes_per_s_;
  double way_s_;
  FlowControl::TimePoint now_;
  FlowControl::TimePoint free_at_;  ///< when the link can send the next
  struct Answer {
    std::uint32_t bytes;
    FlowControl::TimePoint sent_at;
    FlowControl::TimePoint answered_at;
  };
  std::deque<Answer> answers_;
};

}  // namespace

TEST_CASE("only so many chunks travel at once") {
  auto flow = FlowControl();
  auto sent = 0u;
  for (; flow.may_send(); ++sent) flow.sent({});
  CHECK(sent > 1);
  CHECK(sent <= FlowControl::kMaxInFlight);
  for (auto i = 0u; i < sent; ++i)
    flow.acknowledged(flow.chunk_bytes(), {}, FlowControl::TimePoint(std::chrono::milliseconds(10)));
  CHECK(flow.may_send());
  CHECK(flow.in_flight() == 0);
  flow.sent({});
  flow.lost();
  CHECK(flow.in_flight() == 0);
}

TEST_CASE("a fast link gets the largest chunks, and no more of them than fill it") {
  auto flow = FlowControl();
  Link(1e9).transfer(flow, 50);
  CHECK(flow.chunk_bytes() == FlowControl::kMaxChunk_bytes);
  CHECK(flow.in_flight() <= 3);
}

TEST_CASE("a fast link over a long way gets the widest window, and is filled") {
  auto flow = FlowControl();
  const auto rate = 50e6;
  const auto way_s = 0.05;  // 2.5 MB are under way when the link is full
  auto link = Link(rate, way_s);
  link.transfer(flow, 200);
  CHECK(flow.chunk_bytes() == FlowControl::kMaxChunk_bytes);
  const auto before = link.elapsed_s();
  link.transfer(flow, 200);
  CHECK(200.0 * FlowControl::kMaxChunk_bytes / (link.elapsed_s() - before) > 0.95 * rate);
}

TEST_CASE("on a slow link a chunk takes half a second at most, all in flight a second") {
  auto flow = FlowControl();
  const auto rate = 400e3;
  auto link = Link(rate);
  link.transfer(flow, 50);
  CHECK(flow.chunk_bytes() == doctest::Approx(rate / 2).epsilon(0.05));
  link.cut(flow);
  auto in_flight = 0u;
  for (; flow.may_send(); ++in_flight) flow.sent({});
  CHECK(in_flight * flow.chunk_bytes() <= 1.1 * rate);
}

TEST_CASE("on a very slow link one smallest chunk travels at a time") {
  auto flow = FlowControl();
  auto link = Link(1000);
  link.transfer(flow, 20);
  CHECK(flow.chunk_bytes() == FlowControl::kMinChunk_bytes);
  link.cut(flow);
  flow.sent({});
  CHECK_FALSE(flow.may_send());
}

TEST_CASE("a pause between transfers is not taken for slowness") {
  auto flow = FlowControl();
  const auto second = std::chrono::seconds(1);
  auto now = FlowControl::TimePoint();
  for (auto i = 0; i < 20; ++i) {
    flow.sent(now);
    flow.acknowledged(flow.chunk_bytes(), now, now + std::chrono::milliseconds(1));
    now += 100 * second;
  }
  CHECK(flow.chunk_bytes() == FlowControl::kMaxChunk_bytes);
}

TEST_CASE("answers without time or without a question change nothing") {
  auto flow = FlowControl();
  const auto chunk = flow.chunk_bytes();
  flow.acknowledged(10, {}, {});
  flow.sent({});
  flow.acknowledged(10, {}, {});
  CHECK(flow.in_flight() == 0);
  CHECK(flow.chunk_bytes() == chunk);
}
