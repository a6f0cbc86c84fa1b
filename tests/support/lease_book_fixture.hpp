// A lease book with a clock that the test turns, and small published versions to lease.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "learning/selection/lease_book.hpp"
#include "tests/support/small_state.hpp"

namespace fl::test {

inline PublishedModelPtr model_of(Version version) {
  return std::make_shared<const PublishedModel>(
      version, std::make_shared<const Parameters>(counting(small_layout(), static_cast<float>(version))));
}

class BookOnClock {
 public:
  using Effects = LeaseBook::Effects;

  explicit BookOnClock(SchedulerOptions options, Epoch epoch = 1) : book(std::move(options), epoch) {}

  LeaseBook book;
  LeaseBook::TimePoint now;

  void pass(double seconds) {
    now += std::chrono::duration_cast<LeaseBook::TimePoint::duration>(Seconds(seconds));
  }

  Effects join(ClientId client, std::shared_ptr<const Lease> lease = nullptr) {
    book.join(client, std::move(lease), now);
    return book.take_effects();
  }
  Effects leave(ClientId client) {
    book.leave(client, now);
    return book.take_effects();
  }
  std::shared_ptr<const Lease> lease(ClientId client, Ready ready = {10, 0, {}}) {
    return book.lease(client, ready, now);
  }
  /// A task for the client; there must be one.
  Task task(ClientId client) {
    const auto given = lease(client);
    return given->assignment.kind == Assignment::Kind::task ? given->assignment.task : Task();
  }
  std::string reason_to_wait(ClientId client) {
    const auto given = lease(client);
    return given->assignment.kind == Assignment::Kind::wait ? given->assignment.reason : "";
  }
  Effects fetched(ClientId client, TaskId id) {
    book.fetched(client, id);
    return book.take_effects();
  }
  Effects want(std::uint64_t updates) {
    book.want(updates, now);
    return book.take_effects();
  }
  Effects settle(ClientId client, TaskId id) {
    book.settle(client, id, now);
    return book.take_effects();
  }
  Effects lose(ClientId client, TaskId id, const std::string& reason) {
    book.lose(client, id, reason, now);
    return book.take_effects();
  }
  Effects publish(Version version, TaskId next_task = 1, bool anew = false, Epoch epoch = 0) {
    book.publish(model_of(version), next_task, anew, epoch, now);
    return book.take_effects();
  }
  Effects begin(Version version = 0) { return publish(version, 1, true, 1); }
  Effects tick() {
    book.tick(now);
    return book.take_effects();
  }
  /// Seconds until the book wants to be called again; negative: never.
  double next_tick_s() const {
    const auto next = book.next_tick();
    return next ? Seconds(*next - now).count() : -1;
  }
};

}  // namespace fl::test
