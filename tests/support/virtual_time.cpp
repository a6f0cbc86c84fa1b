#include "tests/support/virtual_time.hpp"

#include <doctest/doctest.h>
#include <spdlog/spdlog.h>

namespace fl::test {

VirtualTime::Config::Config() {
  add_message_types<caf::id_block::fl_messages>();
  set("scheduler.policy", caf::atom("testing"));
  spdlog::set_level(spdlog::level::off);
}

VirtualTime::VirtualTime()
    : system(config_), scheduler(dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler())) {}

VirtualTime::~VirtualTime() {
  for (const auto& actor : owned_) caf::anon_send_exit(actor, caf::exit_reason::kill);
  owned_.clear();
  settle();
}

void VirtualTime::settle() {
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

void VirtualTime::pass(caf::timespan duration) {
  settle();
  const auto over = std::make_shared<bool>(false);
  const auto alarm = spawn([over](caf::event_based_actor* actor) -> caf::behavior {
    return {[over, actor](caf::ok_atom) {
      *over = true;
      actor->quit();
    }};
  });
  const auto until = now() + duration;
  system.clock().schedule_message(
      until, caf::actor_cast<caf::strong_actor_ptr>(alarm),
      caf::make_mailbox_element(nullptr, caf::make_message_id(), {}, caf::ok_atom_v));
  while (!*over) {
    REQUIRE(scheduler.trigger_timeout());
    settle();
  }
}

bool VirtualTime::pass_until(const std::function<bool()>& done) {
  const auto until = now() + std::chrono::hours(24);
  settle();
  while (!done() && now() < until && scheduler.trigger_timeout()) settle();
  return done();
}

void VirtualTime::end(const caf::actor& actor, caf::exit_reason reason) {
  caf::anon_send_exit(actor, reason);
  settle();
}

std::shared_ptr<std::optional<caf::error>> VirtualTime::end_of(const caf::actor& actor) {
  auto end = std::make_shared<std::optional<caf::error>>();
  caf::actor_cast<caf::abstract_actor*>(actor)->attach_functor(
      [end](const caf::error& reason) { *end = reason; });
  return end;
}

void VirtualTime::send_request(const caf::actor& actor, const caf::message& request,
                               const caf::behavior& answered) {
  spawn([=](caf::event_based_actor* asker) {
    const auto response = asker->request(actor, caf::infinite, request);
    asker->add_multiplexed_response_handler(response.id(), answered);
  });
  settle();
}

void VirtualTime::send(const caf::actor& actor, caf::message message) {
  caf::anon_send(actor, std::move(message));
  settle();
}

}  // namespace fl::test
