// An actor system whose clock the test turns: nothing waits, nothing runs beside the test, events have one
// order.
#pragma once

#include <doctest/doctest.h>
#include <spdlog/spdlog.h>

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "actors/actors.hpp"
#include "learning/random.hpp"
#include "tests/support/paused_pool.hpp"

namespace fl::test {

/// The answer to a request: empty until it is there.
template <class Answer>
using Awaited = std::shared_ptr<std::optional<Result<Answer>>>;

class VirtualTime {
  struct Config : caf::actor_system_config {
    Config() {
      add_message_types<caf::id_block::fl_messages>();
      set("scheduler.policy", caf::atom("testing"));
      spdlog::set_level(spdlog::level::off);
    }
  };
  Config config_;

 public:
  VirtualTime()
      : system(config_), scheduler(dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler())) {}

  ~VirtualTime() {
    for (const auto& actor : owned_) caf::anon_send_exit(actor, caf::exit_reason::kill);
    owned_.clear();
    settle();
  }

  PausedPool pool;
  caf::actor_system system;
  caf::scheduler::test_coordinator& scheduler;

  std::chrono::steady_clock::time_point now() { return scheduler.clock().now(); }

  /// Spawns an actor that ends with the test at the latest.
  template <class Function, class... Args>
  auto spawn(Function function, Args&&... args) {
    auto actor = system.spawn(function, std::forward<Args>(args)...);
    owned_.push_back(caf::actor_cast<caf::actor>(actor));
    return actor;
  }

  /// From now on, who is next is drawn by lot: any order that threads might bring about. Messages between two
  /// actors stay in order.
  void shuffle(std::uint64_t seed) { lot_.emplace(seed); }

  /// Works off everything that needs no time to pass.
  void settle() {
    do {
      while (lot_ && scheduler.has_job()) {
        auto& jobs = scheduler.jobs;
        std::swap(jobs.front(), jobs[lot_->below(jobs.size())]);
        scheduler.run_once();
      }
      scheduler.run();
      pool.work();
    } while (scheduler.has_job());
  }

  /// Lets time pass, event by event.
  template <class Duration>
  void pass(Duration duration) {
    settle();
    const auto over = std::make_shared<bool>(false);
    const auto alarm = spawn([over](caf::event_based_actor* actor) -> caf::behavior {
      return {[over, actor](caf::ok_atom) {
        *over = true;
        actor->quit();
      }};
    });
    const auto until = now() + std::chrono::duration_cast<caf::timespan>(duration);
    system.clock().schedule_message(
        until, caf::actor_cast<caf::strong_actor_ptr>(alarm),
        caf::make_mailbox_element(nullptr, caf::make_message_id(), {}, caf::ok_atom_v));
    while (!*over) {
      REQUIRE(scheduler.trigger_timeout());
      settle();
    }
  }

  /// Lets time pass until `done()`; false when a virtual day was not enough.
  template <class Predicate>
  bool pass_until(Predicate done) {
    const auto until = now() + std::chrono::hours(24);
    settle();
    while (!done() && now() < until && scheduler.trigger_timeout()) settle();
    return done();
  }

  /// Sends a request; its answer comes when the test lets things happen.
  template <class Answer, class Actor, class... Args>
  Awaited<Answer> request(const Actor& actor, Args... args) {
    auto awaited = std::make_shared<std::optional<Result<Answer>>>();
    spawn([=](caf::event_based_actor* asker) {
      asker->request(actor, caf::infinite, args...)
          .then([=](const Answer& answer) { awaited->emplace(answer); },
                [=](const caf::error& error) { awaited->emplace(tl::unexpected(from_caf(error))); });
    });
    settle();
    return awaited;
  }

  /// A request that must be answered without time passing.
  template <class Answer, class Actor, class... Args>
  Result<Answer> ask(const Actor& actor, Args... args) {
    const auto awaited = request<Answer>(actor, std::move(args)...);
    return awaited->value_or(fail(ec::internal, "there was no answer"));
  }

  template <class Actor, class... Args>
  void tell(const Actor& actor, Args&&... args) {
    caf::anon_send(actor, std::forward<Args>(args)...);
    settle();
  }

  template <class Actor>
  void end(const Actor& actor, caf::exit_reason reason = caf::exit_reason::user_shutdown) {
    caf::anon_send_exit(actor, reason);
    settle();
  }

  /// Why an actor ended, once it has.
  template <class Actor>
  std::shared_ptr<std::optional<caf::error>> end_of(const Actor& actor) {
    auto end = std::make_shared<std::optional<caf::error>>();
    caf::actor_cast<caf::abstract_actor*>(actor)->attach_functor(
        [end](const caf::error& reason) { *end = reason; });
    return end;
  }

 private:
  std::vector<caf::actor> owned_;
  std::optional<RandomStream> lot_;
};

}  // namespace fl::test
