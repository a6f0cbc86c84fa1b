#include "actors/chaos.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

using fl::Chaos;
using fl::ec;

TEST_CASE("every form of the documentation is known") {
  CHECK(Chaos::parse({}));
  CHECK(Chaos::parse({"aggregator@version=1", "scheduler@lease=12", "gateway@hello=3", "evaluator@version=4",
                      "metrics@version=5", "checkpointer@snapshot=6", "session-0@update=7",
                      "client-12@task=8", "trainer-3@task=9", "process@write=10"}));
}

TEST_CASE("anything else is refused, and named") {
  for (const auto* entry :
       {"", "aggregator", "aggregator@version=0", "aggregator@version=-1", "aggregator@task=1",
        "client@task=1", "client-1@task=1 ", "client-1@task=", "session-1@version=1", "node@hello=1",
        "aggregator@version=1;", "aggregator@version=03", "process@write=0", "process@task=1"}) {
    const auto chaos = Chaos::parse({"client-1@task=1", entry});
    REQUIRE_FALSE_MESSAGE(chaos, entry);
    CHECK(chaos.error().code == ec::bad_config);
    CHECK(chaos.error().text.find("\"" + std::string(entry) + "\"") != std::string::npos);
  }
}

TEST_CASE("a crash at a number strikes there, once") {
  const auto chaos = Chaos::parse({"aggregator@version=3"}).value();
  CHECK_NOTHROW(chaos->strike_at("aggregator", "version", 2));
  CHECK_NOTHROW(chaos->strike_at("metrics", "version", 3));
  CHECK_THROWS_WITH_AS(chaos->strike_at("aggregator", "version", 3), "chaos: aggregator@version=3",
                       std::runtime_error);
  CHECK_NOTHROW(chaos->strike_at("aggregator", "version", 3));
}

TEST_CASE("a crash at a count strikes at the nth moment of that actor, over its restarts") {
  const auto chaos = Chaos::parse({"client-2@task=2", "client-2@task=3"}).value();
  CHECK_NOTHROW(chaos->strike_next("client-2", "task"));
  CHECK_NOTHROW(chaos->strike_next("client-1", "task"));
  CHECK_NOTHROW(chaos->strike_next("client-1", "task"));
  CHECK_THROWS(chaos->strike_next("client-2", "task"));
  CHECK_THROWS(chaos->strike_next("client-2", "task"));
  CHECK_NOTHROW(chaos->strike_next("client-2", "task"));
}
