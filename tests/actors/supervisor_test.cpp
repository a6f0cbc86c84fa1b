#include "actors/supervisor.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "actors/crash_report.hpp"
#include "tests/support/fake_neighbours.hpp"

using namespace fl;
using std::chrono::milliseconds;
using test::VirtualTime;

namespace {

/// Children that write down their lives. One message crashes a child, another ends it.
struct Family {
  std::vector<std::string> events;  ///< "a up", "a down", "a wired"; outlives those that are left at the end
  VirtualTime time;
  test::Neighbours neighbours{time};
  std::map<std::string, caf::actor> children;  ///< the newest life of each
  bool stubborn = false;                       ///< children do not stop when asked
  int unable = 0;                              ///< so many times a child cannot be started
  SupervisionOptions options;
  supervisor_actor supervising;
  std::vector<PeersPtr> wirings;

  Family() {
    options.jitter = 0;
    options.max_restarts = 3;
  }

  ChildSpec spec(const std::string& id) {
    return {id,
            [this, id](caf::actor_system& system) {
              if (unable > 0) {
                --unable;
                throw std::runtime_error("the port is taken");
              }
              events.push_back(id + " up");
              auto child = system.spawn([this, id](caf::event_based_actor* self) -> caf::behavior {
                end_with_reason_on_exception(self);
                if (stubborn) self->set_exit_handler([](const caf::exit_msg&) {});
                self->attach_functor([this, id] { events.push_back(id + " down"); });
                return {[](fl::lost_atom) { throw std::runtime_error("bug"); },
                        [self](caf::ok_atom) { self->quit(); },
                        [this, id](wire_atom, const PeersPtr& peers) {
                          events.push_back(id + " wired");
                          wirings.push_back(peers);
                        }};
              });
              children[id] = child;
              return child;
            },
            nullptr};
  }

  void begin(std::vector<std::string> ids) {
    auto specs = std::vector<ChildSpec>();
    for (const auto& id : ids) specs.push_back(spec(id));
    auto peers = Peers();
    peers.node = neighbours.peers.node;
    peers.metrics = neighbours.peers.metrics;
    supervising = time.spawn(supervisor, options, std::move(specs), std::move(peers), std::uint64_t{1});
    CHECK(time.ask<bool>(supervising, begin_atom_v) == true);
  }

  void crash(const std::string& id) { time.tell(children[id], fl::lost_atom_v); }

  std::vector<std::string> news() { return std::exchange(events, {}); }

  ~Family() {
    wirings.clear();
    children.clear();
  }
};

using Events = std::vector<std::string>;

}  // namespace

TEST_CASE("children start in order, are wired, and stop in reverse") {
  auto family = Family();
  family.begin({"a", "b", "c"});
  CHECK(family.news() == Events{"a up", "b up", "c up", "a wired", "b wired", "c wired"});
  CHECK(family.neighbours.node->peers != nullptr);
  const auto end = family.time.end_of(family.supervising);
  CHECK(family.time.ask<bool>(family.supervising, stop_atom_v) == true);
  CHECK(family.news() == Events{"c down", "b down", "a down"});
  CHECK(end->has_value());
}

TEST_CASE("a child that crashed comes back after the backoff, and all are wired anew") {
  auto family = Family();
  family.begin({"a", "b"});
  family.news();
  family.crash("a");
  CHECK(family.news() == Events{"a down"});
  family.time.pass(milliseconds(99));
  CHECK(family.news().empty());
  family.time.pass(milliseconds(1));
  CHECK(family.news() == Events{"a up", "a wired", "b wired"});
  CHECK(family.neighbours.metrics->restarts == Events{"a"});
  CHECK(family.neighbours.node->failed.empty());
  // The second time the wait is twice as long.
  family.crash("a");
  family.news();
  family.time.pass(milliseconds(199));
  CHECK(family.news().empty());
  family.time.pass(milliseconds(1));
  CHECK(family.news().front() == "a up");
}

TEST_CASE("children restart independently") {
  auto family = Family();
  family.begin({"a", "b"});
  family.crash("a");
  family.crash("b");
  family.news();
  family.time.pass(milliseconds(100));
  auto news = family.news();
  CHECK(std::count(news.begin(), news.end(), "a up") == 1);
  CHECK(std::count(news.begin(), news.end(), "b up") == 1);
}

TEST_CASE("too many crashes within the period fail the run, with the reason") {
  auto family = Family();
  family.begin({"a"});
  for (auto i = 0; i < 3; ++i) {
    family.crash("a");
    family.time.pass(std::chrono::seconds(1));
  }
  CHECK(family.neighbours.node->failed.empty());
  family.news();
  family.crash("a");
  REQUIRE(family.neighbours.node->failed.size() == 1);
  CHECK(family.neighbours.node->failed[0].find("a crashed more than 3 times within 60 s") == 0);
  CHECK(family.neighbours.node->failed[0].find("bug") != std::string::npos);
  family.time.pass(std::chrono::minutes(10));
  CHECK(family.news() == Events{"a down"});
  CHECK(family.time.ask<bool>(family.supervising, stop_atom_v) == true);
}

TEST_CASE("a child that ends normally is not restarted") {
  auto family = Family();
  family.begin({"a", "b"});
  family.news();
  family.time.tell(family.children["a"], caf::ok_atom_v);
  family.time.pass(std::chrono::minutes(1));
  CHECK(family.news() == Events{"a down"});
  CHECK(family.time.ask<bool>(family.supervising, stop_atom_v) == true);
  CHECK(family.news() == Events{"b down"});
}

TEST_CASE("a child that does not stop is killed after its grace") {
  auto family = Family();
  family.stubborn = true;
  family.begin({"a", "b"});
  family.news();
  const auto stopped = family.time.request<bool>(family.supervising, stop_atom_v);
  family.time.pass(milliseconds(4999));
  CHECK(family.news().empty());
  family.time.pass(milliseconds(1));
  CHECK(family.news() == Events{"b down"});
  CHECK_FALSE(stopped->has_value());
  family.time.pass(milliseconds(5000));
  CHECK(family.news() == Events{"a down"});
  CHECK(stopped->has_value());
}

TEST_CASE("what crashes while the run stops stays down") {
  auto family = Family();
  family.begin({"a", "b"});
  family.crash("a");
  family.news();
  CHECK(family.time.ask<bool>(family.supervising, stop_atom_v) == true);
  family.time.pass(std::chrono::minutes(1));
  CHECK(family.news() == Events{"b down"});
}

TEST_CASE("the handles that are sent are those of the newest lives") {
  auto family = Family();
  auto specs = std::vector<ChildSpec>{family.spec("a")};
  specs[0].enter = [](Peers& peers, const caf::actor& actor) { peers.node = actor; };
  family.supervising = family.time.spawn(supervisor, family.options, specs, Peers(), std::uint64_t{1});
  CHECK(family.time.ask<bool>(family.supervising, begin_atom_v) == true);
  CHECK(family.wirings.back()->node == family.children["a"]);
  family.crash("a");
  family.time.pass(milliseconds(100));
  CHECK(family.wirings.back()->node == family.children["a"]);
  CHECK(family.time.ask<bool>(family.supervising, stop_atom_v) == true);
}

TEST_CASE("restarts while metrics is down are told to the next metrics") {
  auto family = Family();
  auto log = std::make_shared<test::MetricsLog>();
  auto specs = std::vector<ChildSpec>{family.spec("a")};
  specs.push_back(
      {"metrics",
       [&](caf::actor_system&) {
         return caf::actor_cast<caf::actor>(test::spawn_fake_metrics(family.time, log));
       },
       [](Peers& peers, const caf::actor& actor) { peers.metrics = caf::actor_cast<metrics_actor>(actor); }});
  auto peers = Peers();
  peers.node = family.neighbours.peers.node;
  family.supervising = family.time.spawn(supervisor, family.options, specs, peers, std::uint64_t{1});
  CHECK(family.time.ask<bool>(family.supervising, begin_atom_v) == true);
  family.crash("a");
  family.time.pass(milliseconds(50));
  family.time.end(family.neighbours.node->peers->metrics, caf::exit_reason::kill);
  family.time.pass(milliseconds(60));
  CHECK(log->restarts.empty());
  family.time.pass(milliseconds(60));
  CHECK(log->restarts == Events{"a", "metrics"});
  family.neighbours.node->peers = nullptr;
  CHECK(family.time.ask<bool>(family.supervising, stop_atom_v) == true);
}

TEST_CASE("a child that cannot be started again is tried again, like one that crashed") {
  auto family = Family();
  family.begin({"a", "b"});
  family.news();
  family.unable = 1;
  family.crash("b");
  CHECK(family.news() == Events{"b down"});
  family.time.pass(std::chrono::seconds(2));
  const auto news = family.news();
  CHECK(std::ranges::count(news, "b up") == 1);
  CHECK(std::ranges::count(news, "b wired") == 1);
  CHECK(family.neighbours.node->failed.empty());
  family.unable = 100;
  family.crash("b");
  family.time.pass(std::chrono::seconds(10));
  REQUIRE(family.neighbours.node->failed.size() == 1);
  CHECK(family.neighbours.node->failed[0].find("the port is taken") != std::string::npos);
  CHECK(family.time.ask<bool>(family.supervising, stop_atom_v) == true);
}
