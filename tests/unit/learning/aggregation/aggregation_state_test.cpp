// A restart from a snapshot goes on with the same bits.
#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "learning/aggregation/aggregation.hpp"
#include "learning/random.hpp"
#include "tests/unit/learning/float_sources.hpp"

using namespace fl::testing;
using fl::ServerOptimizerName;
using fl::StrategyName;
using Floats = std::vector<float>;

namespace {

fl::LayoutPtr layout_with_buffer() {
  auto layout = std::make_shared<fl::Layout>();
  layout->add("weight", {5, 7});
  layout->add("running_mean", {7}, fl::EntryKind::buffer);
  layout->add("bias", {7});
  return layout;
}

Floats random_floats(std::size_t size, std::uint64_t seed) {
  auto stream = fl::RandomStream(seed);
  auto values = Floats(size);
  for (auto& value : values) value = static_cast<float>(stream.normal());
  return values;
}

fl::StrategyOptions strategy(StrategyName name) {
  auto options = fl::StrategyOptions();
  options.name = name;
  options.server_learning_rate = 0.1;
  return options;
}

fl::Aggregation begin(StrategyName name, ServerOptimizerName optimizer) {
  const auto layout = layout_with_buffer();
  return {strategy(name), {.name = optimizer}, model_of(layout, random_floats(layout->size(), 1))};
}

/// The run's update number `i`: a version closes after every third.
void advance(fl::Aggregation& server, std::uint64_t i) {
  const auto base = server.version() > 0 ? server.version() - i % 2 : 0;
  const auto facts =
      fl::UpdateFacts{.client = static_cast<fl::ClientId>(i % 2), .base = base, .samples = i + 1};
  REQUIRE(server.fold(facts, *server.weigh(facts), in_file(random_floats(server.model()->size(), 100 + i))));
  if (i % 3 == 2) server.close();
}

}  // namespace

TEST_CASE("snapshot, restore and go on: the same bits as without, at any update and for every optimiser") {
  constexpr std::uint64_t kUpdates = 9;
  for (const auto name : {StrategyName::fedavg, StrategyName::fedavg_async, StrategyName::fedasync,
                          StrategyName::fedasync_delta, StrategyName::fedbuff}) {
    for (const auto optimizer :
         {ServerOptimizerName::none, ServerOptimizerName::momentum, ServerOptimizerName::adagrad,
          ServerOptimizerName::adam, ServerOptimizerName::yogi}) {
      CAPTURE(fl::to_string(name));
      CAPTURE(fl::to_string(optimizer));
      auto straight = begin(name, optimizer);
      for (std::uint64_t i = 0; i < kUpdates; ++i) advance(straight, i);

      for (std::uint64_t stop = 0; stop <= kUpdates; ++stop) {
        CAPTURE(stop);
        auto first_life = begin(name, optimizer);
        for (std::uint64_t i = 0; i < stop; ++i) advance(first_life, i);
        auto second_life = fl::Aggregation::restore(strategy(name), {.name = optimizer}, first_life.state());
        REQUIRE(second_life);
        CHECK(second_life->distinct_clients() == first_life.distinct_clients());
        CHECK(second_life->folded() == first_life.folded());
        for (auto i = stop; i < kUpdates; ++i) advance(*second_life, i);

        CHECK(second_life->version() == 3);
        CHECK(second_life->updates_accepted() == kUpdates);
        CHECK(same_bits(second_life->model()->values(), straight.model()->values()));
        const auto expected = straight.state();
        const auto state = second_life->state();
        CHECK(same_bits(state.optimizer_m.values(), expected.optimizer_m.values()));
        CHECK(same_bits(state.optimizer_v.values(), expected.optimizer_v.values()));
      }
    }
  }
}

TEST_CASE("a snapshot is a copy: what is folded later does not reach it") {
  auto server = begin(StrategyName::fedbuff, ServerOptimizerName::adam);
  advance(server, 0);
  const auto state = server.state();
  const auto sum = state.buffer_sum.clone();
  const auto moment = state.optimizer_m.clone();
  for (std::uint64_t i = 1; i < 6; ++i) advance(server, i);
  CHECK(same_bits(state.buffer_sum.values(), sum.values()));
  CHECK(same_bits(state.optimizer_m.values(), moment.values()));
  CHECK(state.version == 0);
  CHECK(state.buffer.count == 1);
  CHECK(state.buffer.clients == std::vector<fl::ClientId>{0});
}

TEST_CASE("an empty buffer has no sum") {
  auto server = begin(StrategyName::fedbuff, ServerOptimizerName::none);
  for (std::uint64_t i = 0; i < 3; ++i) advance(server, i);
  CHECK(server.state().buffer.count == 0);
  CHECK(server.state().buffer_sum.size() == 0);
}

TEST_CASE("a snapshot that does not hold together is refused") {
  const auto damaged = [](auto damage) {
    auto server = begin(StrategyName::fedbuff, ServerOptimizerName::adam);
    advance(server, 0);
    auto state = server.state();
    damage(state);
    const auto restored = fl::Aggregation::restore(strategy(StrategyName::fedbuff),
                                                   {.name = ServerOptimizerName::adam}, std::move(state));
    return restored ? fl::ec::none : restored.error().code;
  };
  using State = fl::AggregationState;
  CHECK(damaged([](State&) {}) == fl::ec::none);
  CHECK(damaged([](State& s) { s.model = nullptr; }) == fl::ec::corrupt_data);
  CHECK(damaged([](State& s) { s.optimizer_v = {}; }) == fl::ec::corrupt_data);
  CHECK(damaged([](State& s) { s.buffer_sum = {}; }) == fl::ec::layout_mismatch);
  CHECK(damaged([](State& s) { s.buffer_sum = fl::Parameters::zeros(flat_layout(3)); }) ==
        fl::ec::layout_mismatch);
  CHECK(damaged([](State& s) { s.buffer.divisor = 0; }) == fl::ec::corrupt_data);
  CHECK(damaged([](State& s) { s.buffer.divisor = std::numeric_limits<double>::quiet_NaN(); }) ==
        fl::ec::corrupt_data);
  CHECK(damaged([](State& s) { s.buffer.clients.clear(); }) == fl::ec::corrupt_data);
  CHECK(damaged([](State& s) { s.buffer.clients = {1, 2}; }) == fl::ec::corrupt_data);  // more than updates
  CHECK(damaged([](State& s) {
          s.buffer.count = 2;
          s.buffer.clients = {1, 1};
        }) == fl::ec::corrupt_data);
}

TEST_CASE("another optimiser's snapshot is refused") {
  auto server = begin(StrategyName::fedbuff, ServerOptimizerName::momentum);
  const auto restored = fl::Aggregation::restore(strategy(StrategyName::fedbuff),
                                                 {.name = ServerOptimizerName::adam}, server.state());
  REQUIRE_FALSE(restored);
  CHECK(restored.error().code == fl::ec::corrupt_data);
}
