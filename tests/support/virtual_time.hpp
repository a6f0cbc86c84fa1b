// An actor system whose clock the test turns: nothing waits, nothing runs beside the test, events have one
// order.
#pragma once

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <chrono>
#include <functional>
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

/// What an actor's interface says to a message of these arguments.
template <class Actor, class... Args>
using Response = caf::response_type_unbox<caf::signatures_of_t<Actor>,
                                          caf::detail::type_list<caf::detail::strip_and_convert_t<Args>...>>;

/// CAF's templates take seconds to compile, so what does not depend on the types of a message is in the .cpp.
class VirtualTime {
  struct Config : caf::actor_system_config {
    Config();
  };
  Config config_;

 public:
  VirtualTime();
  ~VirtualTime();

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
  void settle();

  /// Lets time pass, event by event.
  void pass(caf::timespan duration);

  /// Lets time pass until `done()`; false when a virtual day was not enough.
  bool pass_until(const std::function<bool()>& done);

  /// Sends a request; its answer comes when the test lets things happen.
  template <class Answer, class Actor, class... Args>
  Awaited<Answer> request(const Actor& actor, Args... args) {
    static_assert(Response<Actor, Args...>::valid, "the actor does not understand the request");
    using Answered = typename Response<Actor, Args...>::type;
    static_assert(
        std::is_same_v<Answered, caf::message> || std::is_same_v<Answered, caf::detail::type_list<Answer>>,
        "the actor answers with something else");
    auto awaited = std::make_shared<std::optional<Result<Answer>>>();
    send_request(caf::actor_cast<caf::actor>(actor), caf::make_message(std::move(args)...),
                 {[awaited](const Answer& answer) { awaited->emplace(answer); },
                  [awaited](const caf::error& error) { awaited->emplace(tl::unexpected(from_caf(error))); }});
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
    static_assert(Response<Actor, Args...>::valid, "the actor does not understand the message");
    send(caf::actor_cast<caf::actor>(actor), caf::make_message(std::forward<Args>(args)...));
  }

  void end(const caf::actor& actor, caf::exit_reason reason = caf::exit_reason::user_shutdown);
  template <class Actor>
  void end(const Actor& actor, caf::exit_reason reason = caf::exit_reason::user_shutdown) {
    end(caf::actor_cast<caf::actor>(actor), reason);
  }

  /// Why an actor ended, once it has.
  std::shared_ptr<std::optional<caf::error>> end_of(const caf::actor& actor);
  template <class Actor>
  std::shared_ptr<std::optional<caf::error>> end_of(const Actor& actor) {
    return end_of(caf::actor_cast<caf::actor>(actor));
  }

 private:
  void send_request(const caf::actor& actor, const caf::message& request, const caf::behavior& answered);
  void send(const caf::actor& actor, caf::message message);

  std::vector<caf::actor> owned_;
  std::optional<RandomStream> lot_;
};

}  // namespace fl::test
