#include <doctest/doctest.h>

#include <vector>

#include "learning/trainer.hpp"
#include "tests/unit/learning/float_sources.hpp"

using namespace fl::testing;

namespace {

fl::TrainerOptions flat(std::uint64_t parameters, double seconds = 0) {
  auto options = fl::TrainerOptions();
  options.backend = "echo";
  options.model = "flat";
  options.model_parameters = parameters;
  options.echo_seconds = seconds;
  return options;
}

constexpr auto kNow = std::chrono::steady_clock::time_point();

}  // namespace

TEST_CASE("an echo task ends at once and says what it was told to have taken") {
  const auto trainer = fl::make_echo_trainer(flat(3, 2.5));
  REQUIRE(trainer);
  REQUIRE((*trainer)->layout()->entries().size() == 1);
  CHECK((*trainer)->layout()->entries()[0].name == "flat");
  CHECK((*trainer)->layout()->entries()[0].kind == fl::EntryKind::trainable);
  CHECK((*trainer)->layout()->size() == 3);

  const auto base = flat_model({1, 2, 3});
  auto job = (*trainer)->train({}, base, nullptr, 1);
  REQUIRE(job);
  CHECK((*job)->run_slice(kNow));
  CHECK((*job)->report().samples == 1);
  CHECK((*job)->report().compute_seconds == 2.5);

  auto update = std::vector<float>(3);
  (*job)->write_update(update, false);
  CHECK(update == std::vector<float>{1e-6f, 1e-6f, 1e-6f});
  (*job)->write_update(update, true);
  CHECK(update == std::vector<float>{1 + 1e-6f, 2 + 1e-6f, 3 + 1e-6f});
}

TEST_CASE("an echo task counts the samples it is given") {
  const auto trainer = fl::make_echo_trainer(flat(1));
  auto data = std::make_shared<fl::DataView>();
  data->rows = {4, 5, 6};
  const auto job = (*trainer)->train({}, flat_model({0}), data, 1);
  REQUIRE(job);
  CHECK((*job)->report().samples == 3);
}

TEST_CASE("an echo evaluation measures nothing, and there is nothing to export") {
  const auto trainer = fl::make_echo_trainer(flat(1));
  const auto job = (*trainer)->evaluate(flat_model({0}), nullptr);
  REQUIRE(job);
  CHECK((*job)->run_slice(kNow));
  CHECK((*job)->report().samples == 0);
  CHECK((*trainer)->export_torchscript(*flat_model({0}), "model.pt", {}).error().code ==
        fl::ec::unsupported_format);
}

TEST_CASE("an echo trainer refuses what it cannot echo") {
  CHECK(fl::make_echo_trainer(flat(0)).error().code == fl::ec::bad_config);
  CHECK(fl::make_echo_trainer(flat(1, -1)).error().code == fl::ec::bad_config);
  auto other = flat(1);
  other.model = "simple_cnn";
  CHECK(fl::make_echo_trainer(other).error().text.find("simple_cnn") != std::string::npos);

  const auto trainer = fl::make_echo_trainer(flat(2));
  CHECK((*trainer)->train({}, flat_model({0}), nullptr, 1).error().code == fl::ec::layout_mismatch);
  CHECK((*trainer)->train({}, nullptr, nullptr, 1).error().code == fl::ec::layout_mismatch);
}
