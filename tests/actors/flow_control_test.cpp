#include "actors/flow_control.hpp"

#include <doctest/doctest.h>

#include <vector>

using fl::FlowControl;

namespace {

using Seconds = std::chrono::duration<double>;

/// A link of constant rate that sends one chunk behind the other.
class Link {
 public:
  explicit Link(double bytes_per_s) : bytes_per_s_(bytes_per_s) {}

  /// Sends as the flow control allows until so many chunks have arrived.
  void transfer(FlowControl& flow, int chunks) {
    for (auto done = 0; done < chunks; ++done) {
      while (flow.may_send()) {
        sizes_.push_back(flow.chunk_bytes());
        flow.sent(now_);
      }
      const auto bytes = sizes_.front();
      sizes_.erase(sizes_.begin());
      now_ += std::chrono::duration_cast<FlowControl::TimePoint::duration>(Seconds(bytes / bytes_per_s_));
      flow.acknowledged(bytes, now_);
    }
  }

 private:
  double bytes_per_s_;
  FlowControl::TimePoint now_;
  std::vector<std::uint32_t> sizes_;
};

}  // namespace

TEST_CASE("only so many chunks travel at once") {
  auto flow = FlowControl();
  auto sent = 0u;
  for (; flow.may_send(); ++sent) flow.sent({});
  CHECK(sent > 1);
  CHECK(sent <= FlowControl::kMaxInFlight);
  flow.acknowledged(flow.chunk_bytes(), FlowControl::TimePoint(std::chrono::milliseconds(10)));
  CHECK(flow.may_send());
  flow.restart();
  CHECK(flow.in_flight() == 0);
}

TEST_CASE("a fast link gets the largest chunks and the widest window") {
  auto flow = FlowControl();
  Link(1e9).transfer(flow, 50);
  CHECK(flow.chunk_bytes() == FlowControl::kMaxChunk_bytes);
  auto in_flight = flow.in_flight();
  for (; flow.may_send(); ++in_flight) flow.sent({});
  CHECK(in_flight == FlowControl::kMaxInFlight);
}

TEST_CASE("on a slow link a chunk takes half a second at most, all in flight a second") {
  auto flow = FlowControl();
  const auto rate = 400e3;
  Link(rate).transfer(flow, 50);
  CHECK(flow.chunk_bytes() == doctest::Approx(rate / 2).epsilon(0.05));
  flow.restart();
  auto in_flight = 0u;
  for (; flow.may_send(); ++in_flight) flow.sent({});
  CHECK(in_flight * flow.chunk_bytes() <= 1.1 * rate);
}

TEST_CASE("on a very slow link one smallest chunk travels at a time") {
  auto flow = FlowControl();
  Link(1000).transfer(flow, 20);
  CHECK(flow.chunk_bytes() == FlowControl::kMinChunk_bytes);
  flow.restart();
  flow.sent({});
  CHECK_FALSE(flow.may_send());
}

TEST_CASE("a pause between transfers is not taken for slowness") {
  auto flow = FlowControl();
  const auto second = std::chrono::seconds(1);
  auto now = FlowControl::TimePoint();
  for (auto i = 0; i < 20; ++i) {
    flow.sent(now);
    flow.acknowledged(flow.chunk_bytes(), now + std::chrono::milliseconds(1));
    now += 100 * second;
  }
  CHECK(flow.chunk_bytes() == FlowControl::kMaxChunk_bytes);
}

TEST_CASE("answers without time or without a question change nothing") {
  auto flow = FlowControl();
  const auto chunk = flow.chunk_bytes();
  flow.acknowledged(10, {});
  flow.sent({});
  flow.acknowledged(10, {});
  CHECK(flow.in_flight() == 0);
  CHECK(flow.chunk_bytes() == chunk);
}
