#include "learning/aggregation/server_optimizer.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "tests/unit/learning/float_sources.hpp"

using namespace fl::testing;
using fl::ServerOptimizerName;
using Floats = std::vector<float>;

// Two steps of each optimiser on one parameter that begins at x = 1, with Δ = 2 / 4 = 0.5 and then Δ = −1 / 4
// = −0.25, η = 0.1. For the sake of short numbers β1 = 0.5, β2 = 0.75 and ε = 0.5, hence v begins at 0.25.

namespace {

struct Steps {
  float x1;
  float x2;
  float m2;
  float v2;
};

void check_two_steps(ServerOptimizerName name, const Steps& expected) {
  const auto options = fl::ServerOptimizerOptions{.name = name, .beta1 = 0.5, .beta2 = 0.75, .epsilon = 0.5};
  // 37 equal parameters: every lane of a vector and the rest behind the last whole one take the same steps.
  constexpr std::size_t kSize = 37;
  auto optimizer = fl::ServerOptimizer(options, flat_layout(kSize));
  auto x = Floats(kSize, 1);
  optimizer.step(x, x, Floats(kSize, 2), 4, 0.1);  // in place
  for (const auto value : x) CHECK(value == doctest::Approx(expected.x1));
  auto out = Floats(kSize);
  optimizer.step(out, x, Floats(kSize, -1), 4, 0.1);
  for (const auto value : out) CHECK(value == doctest::Approx(expected.x2));
  for (const auto value : optimizer.m().values()) CHECK(value == doctest::Approx(expected.m2));
  for (const auto value : optimizer.v().values()) CHECK(value == doctest::Approx(expected.v2));
}

}  // namespace

TEST_CASE("none: x += η Δ") {
  // 1 + 0.1 · 0.5 = 1.05;  1.05 + 0.1 · (−0.25) = 1.025
  check_two_steps(ServerOptimizerName::none, {1.05f, 1.025f, 0, 0});
}

TEST_CASE("momentum: m = β1 m + Δ; x += η m") {
  // m1 = 0.5,                       x1 = 1 + 0.05 = 1.05
  // m2 = 0.5 · 0.5 − 0.25 = 0,      x2 = 1.05
  check_two_steps(ServerOptimizerName::momentum, {1.05f, 1.05f, 0, 0});
}

TEST_CASE("adagrad: v += Δ²") {
  // m1 = 0.5 · 0.5 = 0.25,                      v1 = 0.25 + 0.25 = 0.5
  // x1 = 1 + 0.1 · 0.25 / (0.70710678 + 0.5) = 1 + 0.025 / 1.20710678 = 1.02071068
  // m2 = 0.5 · 0.25 + 0.5 · (−0.25) = 0,        v2 = 0.5 + 0.0625 = 0.5625
  // x2 = x1
  check_two_steps(ServerOptimizerName::adagrad, {1.02071068f, 1.02071068f, 0, 0.5625f});
}

TEST_CASE("adam: v = β2 v + (1 − β2) Δ²") {
  // m1 = 0.25,  v1 = 0.75 · 0.25 + 0.25 · 0.25 = 0.25
  // x1 = 1 + 0.1 · 0.25 / (0.5 + 0.5) = 1.025
  // m2 = 0,     v2 = 0.75 · 0.25 + 0.25 · 0.0625 = 0.203125
  check_two_steps(ServerOptimizerName::adam, {1.025f, 1.025f, 0, 0.203125f});
}

TEST_CASE("yogi: v −= (1 − β2) Δ² sign(v − Δ²)") {
  // m1 = 0.25,  v1 = 0.25, as v − Δ² = 0.25 − 0.25 = 0 has no sign
  // x1 = 1 + 0.1 · 0.25 / (0.5 + 0.5) = 1.025
  // m2 = 0,     v2 = 0.25 − 0.25 · 0.0625 = 0.234375, as v > Δ²
  check_two_steps(ServerOptimizerName::yogi, {1.025f, 1.025f, 0, 0.234375f});
}

TEST_CASE("adaptive steps go on from m and v: a second step of another size") {
  // adam with Δ = 1 twice, β1 = 0.5, β2 = 0.75, ε = 0.5, η = 1, from x = 0:
  //   m1 = 0.5,  v1 = 0.75 · 0.25 + 0.25 = 0.4375,       x1 = 0.5 / (0.66143783 + 0.5) = 0.43050087
  //   m2 = 0.75, v2 = 0.75 · 0.4375 + 0.25 = 0.578125,   x2 = x1 + 0.75 / (0.76034531 + 0.5) = 1.02557587
  // yogi: v1 = 0.25 + 0.25 = 0.5 as v < Δ²,              x1 = 0.5 / (0.70710678 + 0.5) = 0.41421356
  //       v2 = 0.5 + 0.25 = 0.75,                        x2 = x1 + 0.75 / (0.86602540 + 0.5) = 0.96325157
  struct Row {
    ServerOptimizerName name;
    float x1;
    float x2;
  };
  for (const auto& row : {Row{ServerOptimizerName::adam, 0.43050087f, 1.02557587f},
                          Row{ServerOptimizerName::yogi, 0.41421356f, 0.96325157f}}) {
    auto optimizer =
        fl::ServerOptimizer({.name = row.name, .beta1 = 0.5, .beta2 = 0.75, .epsilon = 0.5}, flat_layout(1));
    auto x = Floats{0};
    optimizer.step(x, x, Floats{1}, 1, 1);
    CHECK(x[0] == doctest::Approx(row.x1));
    optimizer.step(x, x, Floats{1}, 1, 1);
    CHECK(x[0] == doctest::Approx(row.x2));
  }
}

TEST_CASE("buffers take the mean, past the optimiser and its rate") {
  auto layout = std::make_shared<fl::Layout>();
  layout->add("weight", {1});
  layout->add("running_mean", {1}, fl::EntryKind::buffer);
  layout->add("bias", {1});
  for (const auto name :
       {ServerOptimizerName::none, ServerOptimizerName::momentum, ServerOptimizerName::adagrad,
        ServerOptimizerName::adam, ServerOptimizerName::yogi}) {
    auto optimizer = fl::ServerOptimizer({.name = name}, layout);
    auto out = Floats(3);
    optimizer.step(out, Floats{1, 1, 1}, Floats{2, 2, 2}, 4, 0.1);
    CHECK(out[1] == 1.5f);    // 1 + 2 / 4
    CHECK(out[0] == out[2]);  // both trainable
    CHECK(out[0] != out[1]);
  }
}

TEST_CASE("v begins at ε², m at 0, and only those that are needed exist") {
  const auto moments_of = [](ServerOptimizerName name) {
    const auto optimizer = fl::ServerOptimizer({.name = name, .epsilon = 0.25}, flat_layout(2));
    if (optimizer.m().size() > 0) CHECK(optimizer.m().values()[1] == 0);
    if (optimizer.v().size() > 0) CHECK(optimizer.v().values()[1] == 0.0625f);
    return std::pair(optimizer.m().size(), optimizer.v().size());
  };
  CHECK(moments_of(ServerOptimizerName::none) == std::pair<std::size_t, std::size_t>(0, 0));
  CHECK(moments_of(ServerOptimizerName::momentum) == std::pair<std::size_t, std::size_t>(2, 0));
  CHECK(moments_of(ServerOptimizerName::adagrad) == std::pair<std::size_t, std::size_t>(2, 2));
  CHECK(moments_of(ServerOptimizerName::adam) == std::pair<std::size_t, std::size_t>(2, 2));
  CHECK(moments_of(ServerOptimizerName::yogi) == std::pair<std::size_t, std::size_t>(2, 2));
}

TEST_CASE("saved moments must be those of the optimiser and the model") {
  const auto layout = flat_layout(2);
  auto adam = fl::ServerOptimizer({.name = ServerOptimizerName::adam}, layout);
  CHECK(adam.restore(fl::Parameters::zeros(layout), fl::Parameters::zeros(layout)));
  CHECK(adam.restore({}, {}).error().code == fl::ec::corrupt_data);
  CHECK(adam.restore(fl::Parameters::zeros(layout), {}).error().code == fl::ec::corrupt_data);
  CHECK(adam.restore(fl::Parameters::zeros(layout), fl::Parameters::zeros(flat_layout(3))).error().code ==
        fl::ec::corrupt_data);

  auto none = fl::ServerOptimizer({}, layout);
  CHECK(none.restore({}, {}));
  const auto refused = none.restore(fl::Parameters::zeros(layout), {});
  CHECK(refused.error().text ==
        "the saved moments (m 2, v 0 floats) are not those of none for a model of 2 floats");
}

TEST_CASE("names are read and written, and an unknown one is answered with the list") {
  for (const auto* name : {"none", "momentum", "adagrad", "adam", "yogi"}) {
    const auto parsed = fl::parse_server_optimizer(name);
    REQUIRE(parsed);
    CHECK(fl::to_string(*parsed) == name);
  }
  CHECK(fl::parse_server_optimizer("sgd").error().text ==
        "unknown server optimizer \"sgd\"; choose one of none, momentum, adagrad, adam, yogi");
}
