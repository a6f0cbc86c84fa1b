#include "learning/aggregation/aggregation.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <vector>

#include "tests/unit/learning/float_sources.hpp"

using namespace fl::testing;
using fl::StrategyName;
using Floats = std::vector<float>;

namespace {

fl::Aggregation aggregation(StrategyName name, const fl::ParametersPtr& initial,
                            double server_learning_rate = 1) {
  auto options = fl::StrategyOptions();
  options.name = name;
  options.server_learning_rate = server_learning_rate;
  return {options, {}, initial};
}

/// Weighs and folds one update as the server does.
void submit(fl::Aggregation& to, const fl::UpdateFacts& facts, const Floats& values) {
  const auto weight = to.weigh(facts);
  REQUIRE(weight);
  REQUIRE(to.fold(facts, *weight, in_memory(values)));
}

float x(const fl::Aggregation& of) {
  return of.model()->values()[0];
}

/// Closes versions that change nothing, so that later updates are stale.
void age(fl::Aggregation& of, fl::Version versions) {
  for (fl::Version i = 0; i < versions; ++i) {
    submit(of, {.client = 9, .base = of.version(), .samples = 1}, Floats(of.model()->size(), 0.0f));
    of.close();
  }
}

}  // namespace

TEST_CASE("fedavg: x + η Σ n Δ / Σ n") {
  auto server = aggregation(StrategyName::fedavg, flat_model({10, 0}), 0.5);
  submit(server, {.client = 0, .base = 0, .samples = 30}, {2, 1});
  submit(server, {.client = 1, .base = 0, .samples = 10}, {-2, 5});
  CHECK(server.distinct_clients() == 2);
  CHECK(server.version() == 0);
  CHECK(x(server) == 10);  // nothing before the close
  server.close();
  // (30 · 2 + 10 · (−2)) / 40 = 1;  10 + 0.5 · 1.   (30 · 1 + 10 · 5) / 40 = 2;  0 + 0.5 · 2
  CHECK(x(server) == doctest::Approx(10.5));
  CHECK(server.model()->values()[1] == doctest::Approx(1));
  CHECK(server.version() == 1);
  CHECK(server.folded() == 0);
  CHECK(server.updates_accepted() == 2);
}

TEST_CASE("fedavg_async: x + η Σ n s(τ) Δ / Σ n") {
  auto server = aggregation(StrategyName::fedavg_async, flat_model({0}));
  age(server, 3);
  submit(server, {.client = 0, .base = 3, .samples = 10}, {4});  // w = 10 · 1
  submit(server, {.client = 1, .base = 0, .samples = 30}, {8});  // τ = 3, w = 30 · 0.5
  server.close();
  CHECK(x(server) == doctest::Approx(4));  // (10 · 4 + 15 · 8) / 40
}

TEST_CASE("a buffer of nothing but stale updates takes a smaller step") {
  auto stale = aggregation(StrategyName::fedavg_async, flat_model({0}));
  age(stale, 3);
  submit(stale, {.client = 0, .base = 0, .samples = 10}, {4});
  submit(stale, {.client = 1, .base = 0, .samples = 30}, {4});
  stale.close();
  CHECK(x(stale) == doctest::Approx(2));  // (10 · 0.5 · 4 + 30 · 0.5 · 4) / 40: half of the fresh step of 4
}

TEST_CASE("fedbuff: x + η (1/K) Σ s(τ) Δ, divided by the count and not by Σ s") {
  auto server = aggregation(StrategyName::fedbuff, flat_model({1}), 0.5);
  age(server, 3);
  submit(server, {.client = 0, .base = 0, .samples = 1}, {4});     // s = 0.5
  submit(server, {.client = 1, .base = 0, .samples = 1000}, {8});  // s = 0.5; samples do not matter
  server.close();
  CHECK(x(server) == doctest::Approx(2.5));  // 1 + 0.5 · (0.5 · 4 + 0.5 · 8) / 2; by Σ s it would be 4
}

TEST_CASE("fedasync: (1 − α s) x + α s x_i, of whole models") {
  auto server = aggregation(StrategyName::fedasync, flat_model({1}));
  submit(server, {.client = 0, .base = 0, .samples = 5}, {2});
  server.close();
  CHECK(x(server) == doctest::Approx(1.6));  // 0.4 · 1 + 0.6 · 2
  submit(server, {.client = 1, .base = 1, .samples = 5}, {1.6f});
  server.close();
  CHECK(x(server) == doctest::Approx(1.6));  // the model itself changes nothing
  // τ = 2 and s = 3^−0.5, α s = 0.6 · 0.57735027 = 0.34641016; 0.65358984 · 1.6 + 0.34641016 · 3
  submit(server, {.client = 2, .base = 0, .samples = 5}, {3});
  server.close();
  CHECK(x(server) == doctest::Approx(2.08497423));
}

TEST_CASE("fedasync keeps the norm: clients that send the same model for ever draw the server to it") {
  auto server = aggregation(StrategyName::fedasync, flat_model({0}));
  for (int i = 0; i < 200; ++i) {
    submit(server, {.client = 0, .base = server.version(), .samples = 1}, {5});
    server.close();
  }
  CHECK(x(server) == doctest::Approx(5));
}

TEST_CASE("fedasync_delta: x + α s Δ, and α is the same at the end as at the start") {
  auto server = aggregation(StrategyName::fedasync_delta, flat_model({0}));
  age(server, 3);
  submit(server, {.client = 0, .base = 0, .samples = 5}, {10});
  server.close();
  CHECK(x(server) == doctest::Approx(3));  // 0.6 · 0.5 · 10
  for (int i = 0; i < 50; ++i) {
    submit(server, {.client = 0, .base = server.version() - 3, .samples = 5}, {10});
    server.close();
  }
  CHECK(x(server) == doctest::Approx(3 + 50 * 3));
  CHECK(server.strategy().mixing == 0.6);
}

TEST_CASE("the weight is that of the version before the update is applied") {
  auto server = aggregation(StrategyName::fedbuff, flat_model({0}));
  submit(server, {.client = 0, .base = 0, .samples = 1}, {1});
  server.close();
  // The freshest there can be: its base is the model as it is now.
  const auto weight = server.weigh({.client = 0, .base = 1, .samples = 1});
  CHECK(weight->staleness == 0);
  CHECK(weight->fold == 1);
}

TEST_CASE("a fast client's second update joins sum and divisor but is not another client") {
  auto server = aggregation(StrategyName::fedbuff, flat_model({0}));
  submit(server, {.client = 0, .base = 0, .samples = 1}, {3});
  submit(server, {.client = 0, .base = 0, .samples = 1}, {6});
  CHECK(server.distinct_clients() == 1);
  CHECK(server.folded() == 2);
  submit(server, {.client = 1, .base = 0, .samples = 1}, {9});
  CHECK(server.distinct_clients() == 2);
  CHECK(server.folded() == 3);
  server.close();
  CHECK(x(server) == doctest::Approx(6));  // (3 + 6 + 9) / 3
  CHECK(server.distinct_clients() == 0);
}

TEST_CASE("no update is kept: what a thousand clients sent is gone once folded") {
  auto server = aggregation(StrategyName::fedavg, flat_model(Floats(1000, 0.0f)));
  const auto update = Floats(1000, 1.0f);
  for (fl::ClientId client = 0; client < 1000; ++client) {
    const auto facts = fl::UpdateFacts{.client = client, .base = 0, .samples = 1};
    const auto payload = client % 2 == 0 ? in_memory(update) : in_file(update);
    REQUIRE(server.fold(facts, *server.weigh(facts), payload));
    CHECK(payload.source.use_count() == 1);
  }
  CHECK(server.state().buffer_sum.size() == 1000);  // one sum, whatever was folded into it
}

TEST_CASE("a version that was published does not change") {
  auto server = aggregation(StrategyName::fedbuff, flat_model({1}));
  const auto published = server.model();
  submit(server, {.client = 0, .base = 0, .samples = 1}, {1});
  server.close();
  CHECK(published->values()[0] == 1);
  CHECK(x(server) == 2);
}

TEST_CASE("an update of another length is refused and leaves no trace") {
  auto server = aggregation(StrategyName::fedbuff, flat_model({1, 1}));
  const auto facts = fl::UpdateFacts{.client = 3, .base = 0, .samples = 1};
  const auto refused = server.fold(facts, *server.weigh(facts), in_memory(Floats{1}));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == fl::ec::wrong_length);
  CHECK(refused.error().text == "client 3's update has 1 values; the model has 2");
  CHECK(server.folded() == 0);
  CHECK(server.updates_accepted() == 0);
  CHECK_THROWS_AS(server.close(), std::logic_error);
}

TEST_CASE("weights of refused updates are never made") {
  auto options = fl::StrategyOptions();
  options.max_staleness = 2;
  auto server = fl::Aggregation(options, {}, flat_model({0}));
  age(server, 3);
  CHECK(server.weigh({.client = 0, .base = 0, .samples = 1}).error().code == fl::ec::too_stale);
  CHECK(server.weigh({.client = 0, .base = 4, .samples = 1}).error().code == fl::ec::unknown_base);
  CHECK(server.weigh({.client = 0, .base = 3, .samples = 0}).error().code == fl::ec::bad_claim);
}
