#include "actors/evaluator.hpp"

#include <doctest/doctest.h>

#include "tests/support/fake_neighbours.hpp"
#include "tests/support/fake_trainer.hpp"
#include "tests/support/lease_book_fixture.hpp"

using namespace fl;

namespace {

struct Fixture {
  test::VirtualTime time;
  test::Neighbours neighbours{time};
  std::shared_ptr<test::FakeTrainer> trainer = std::make_shared<test::FakeTrainer>();
  EvaluationMeans means{trainer, test::data_of(10), time.pool.pool()};
  EvaluationOptions options;
  ChaosPtr chaos = std::make_shared<Chaos>();
  evaluator_actor actor;

  explicit Fixture(EvaluationOptions given = {}) : options(given) { start(); }

  void start() {
    actor = time.spawn(evaluator, options, means, chaos);
    wire();
  }
  void wire() { time.tell(actor, wire_atom_v, neighbours.handles()); }

  static PublicationPtr publication(Version version, bool anew = false) {
    return std::make_shared<const Publication>(Publication{test::model_of(version), 0, 1, anew});
  }
  /// Tells of versions without a pause in which one could be evaluated.
  void publish(std::initializer_list<Version> versions, bool anew = false) {
    for (const auto version : versions) caf::anon_send(actor, publish_atom_v, publication(version, anew));
    time.settle();
  }
  void answer(Version version, ClientId client, std::uint64_t samples, double loss, double accuracy) {
    time.tell(actor, Evaluation{version, samples, loss, accuracy}, client);
  }
  test::Awaited<Evaluation> last(Version version, std::uint32_t answers = 0) {
    return time.request<Evaluation>(actor, evaluate_atom_v, publication(version), answers);
  }
  std::vector<Version> evaluated() const {
    auto versions = std::vector<Version>();
    for (const auto& evaluation : neighbours.metrics->evaluations) versions.push_back(evaluation.version);
    return versions;
  }
};

using Versions = std::vector<Version>;
using Skips = std::vector<std::pair<Version, Version>>;

EvaluationOptions on_clients(std::uint64_t every = 1) {
  return {every, true};
}

}  // namespace

TEST_CASE("a version is evaluated and reported to metrics and aggregator; version 0 is not") {
  auto fixture = Fixture();
  fixture.publish({0}, true);
  CHECK(fixture.trainer->evaluations == 0);
  fixture.publish({1});
  CHECK(fixture.evaluated() == Versions{1});
  CHECK(fixture.neighbours.metrics->evaluations[0].samples == 10);
  CHECK(fixture.neighbours.metrics->evaluations[0].loss == 1);
  CHECK(fixture.neighbours.aggregator->evaluations.size() == 1);
  CHECK(fixture.neighbours.metrics->skips.empty());
}

TEST_CASE("an evaluator that is behind takes the newest version and skips those between") {
  auto fixture = Fixture();
  fixture.publish({0}, true);
  fixture.publish({1, 2, 3, 4});
  CHECK(fixture.evaluated() == Versions{1, 4});
  CHECK(fixture.neighbours.metrics->skips == Skips{{2, 2}, {3, 3}});
}

TEST_CASE("only every nth version is due") {
  auto fixture = Fixture({3, false});
  fixture.publish({0}, true);
  for (auto version = Version{1}; version <= 6; ++version) fixture.publish({version});
  CHECK(fixture.evaluated() == Versions{3, 6});
  CHECK(fixture.neighbours.metrics->skips == Skips{{1, 1}, {2, 2}, {4, 4}, {5, 5}});
  CHECK((**fixture.last(7))->version == 7);  // the last always is
}

TEST_CASE("without held-out data versions are skipped, and the last one is an error") {
  auto fixture = Fixture();
  fixture.means.data = nullptr;
  fixture.start();
  fixture.publish({0}, true);
  fixture.publish({1});
  CHECK(fixture.neighbours.metrics->skips == Skips{{1, 1}});
  CHECK((*fixture.last(1))->error().code == ec::bad_data);
}

TEST_CASE("the last version is evaluated once, however often it is asked for") {
  auto fixture = Fixture();
  fixture.publish({1}, true);
  CHECK((**fixture.last(1))->version == 1);
  CHECK(fixture.trainer->evaluations == 1);
  caf::anon_send(fixture.actor, publish_atom_v, Fixture::publication(2));
  caf::anon_send(fixture.actor, publish_atom_v, Fixture::publication(3));
  const auto last = fixture.last(4);
  CHECK((**last)->version == 4);
  CHECK(fixture.evaluated() == Versions{1, 2, 4});
  CHECK(fixture.neighbours.metrics->skips.back() == std::pair<Version, Version>{3, 3});
}

TEST_CASE("a version that is told again is no news, but what was decided is said again") {
  auto fixture = Fixture({2, false});
  fixture.publish({0}, true);
  fixture.publish({1, 2});
  fixture.neighbours.metrics->skips.clear();
  fixture.publish({2});
  CHECK(fixture.evaluated() == Versions{2, 2});
  CHECK(fixture.trainer->evaluations == 1);
  CHECK(fixture.neighbours.metrics->skips == Skips{{1, 1}});
}

TEST_CASE("a new life gives up what the old one was at") {
  auto fixture = Fixture();
  fixture.chaos = Chaos::parse({"evaluator@version=2"}).value();
  fixture.start();
  fixture.publish({0}, true);
  fixture.publish({1});
  fixture.publish({2, 3});
  CHECK(fixture.evaluated() == Versions{1});
  fixture.start();
  fixture.publish({4});
  CHECK(fixture.evaluated() == Versions{1, 4});
  CHECK(fixture.neighbours.metrics->skips.back() == std::pair<Version, Version>{1, 3});
}

TEST_CASE("a model that goes back takes its evaluations with it") {
  auto fixture = Fixture();
  fixture.publish({0}, true);
  fixture.publish({1});
  fixture.publish({2});
  caf::anon_send(fixture.actor, publish_atom_v, Fixture::publication(3));
  caf::anon_send(fixture.actor, publish_atom_v, Fixture::publication(4));
  fixture.publish({1}, true);
  CHECK(fixture.evaluated() == Versions{1, 2, 1});  // 3 was under way and is no more
  fixture.publish({2});
  CHECK(fixture.evaluated().back() == 2);
  CHECK((**fixture.last(2))->version == 2);
}

TEST_CASE("clients' answers count by their samples, once a client") {
  auto fixture = Fixture(on_clients());
  fixture.time.tell(fixture.actor, live_atom_v, 3u);
  fixture.publish({0}, true);
  fixture.publish({1});
  fixture.answer(1, 0, 10, 1.0, 0.5);
  fixture.answer(1, 0, 10, 9.0, 0.0);
  fixture.answer(7, 1, 10, 9.0, 0.0);  // of a version that nobody was asked about
  fixture.answer(1, 1, 20, 2.0, 0.75);
  CHECK(fixture.evaluated().empty());
  fixture.answer(1, 2, 70, 3.0, 1.0);
  REQUIRE(fixture.evaluated() == Versions{1});
  const auto& mean = fixture.neighbours.metrics->evaluations[0];
  CHECK(mean.samples == 100);
  CHECK(mean.loss == doctest::Approx((10 * 1 + 20 * 2 + 70 * 3) / 100.0));
  CHECK(mean.accuracy == doctest::Approx((10 * 0.5 + 20 * 0.75 + 70) / 100.0));
  CHECK(fixture.trainer->evaluations == 0);
}

TEST_CASE("clients that do not answer hold up only so many versions") {
  auto fixture = Fixture(on_clients());
  fixture.time.tell(fixture.actor, live_atom_v, 2u);
  fixture.publish({0}, true);
  for (auto version = Version{1}; version <= 9; ++version) {
    fixture.publish({version});
    if (version == 1) fixture.answer(1, 0, 10, 1.0, 0.5);
  }
  CHECK(fixture.evaluated() == Versions{1});  // closed with the one answer it has
  fixture.publish({10});
  CHECK(fixture.neighbours.metrics->skips == Skips{{2, 2}});
}

TEST_CASE("the last version waits for as many clients as will answer, but not for ever") {
  auto fixture = Fixture(on_clients());
  fixture.time.tell(fixture.actor, live_atom_v, 3u);
  fixture.publish({0}, true);
  fixture.publish({1});
  auto last = fixture.last(1, 2);
  fixture.answer(1, 0, 10, 1.0, 0.5);
  CHECK_FALSE(last->has_value());
  fixture.answer(1, 1, 10, 1.0, 0.7);
  REQUIRE(last->has_value());
  CHECK((**last)->accuracy == doctest::Approx(0.6));

  fixture.publish({2});
  last = fixture.last(2, 3);
  fixture.answer(2, 0, 10, 1.0, 0.5);
  CHECK_FALSE(last->has_value());
  fixture.time.pass(std::chrono::seconds(120));
  REQUIRE(last->has_value());
  CHECK((**last)->accuracy == 0.5);

  fixture.publish({3});
  CHECK((*fixture.last(3, 0))->error().code == ec::unavailable);  // nobody will
}

TEST_CASE("answers that came before the end count for the last version") {
  auto fixture = Fixture(on_clients());
  fixture.time.tell(fixture.actor, live_atom_v, 3u);
  fixture.publish({1}, true);
  fixture.answer(1, 0, 10, 1.0, 0.5);
  fixture.answer(1, 1, 10, 1.0, 0.7);
  const auto last = fixture.last(1, 2);
  REQUIRE(last->has_value());
  CHECK((**last)->accuracy == doctest::Approx(0.6));
}
