#include "learning/selection/work_plan.hpp"

#include <doctest/doctest.h>

using namespace fl;

namespace {

/// One that trains so many samples a second and needs `transfer_s` for its transfers.
ClientMeasures client(double samples_per_s, double transfer_s = 0) {
  auto one = ClientMeasures();
  one.note_answer({600 / samples_per_s, 19, 600, 0.5}, 600 / samples_per_s + transfer_s, 600);
  return one;
}

TrainingSettings one_epoch() {
  auto settings = TrainingSettings();
  settings.batch_size = 30;
  return settings;
}

WorkOptions adaptive(double target_s = 0) {
  auto options = WorkOptions();
  options.adaptive = true;
  options.target = Seconds(target_s);
  return options;
}

}  // namespace

TEST_CASE("means follow what is measured, the newest most") {
  auto one = client(100, 1);
  CHECK(one.samples_per_s == doctest::Approx(100));
  CHECK(one.transfer_s == doctest::Approx(1));
  CHECK(one.duration_s == doctest::Approx(7));
  one.note_answer({3, 19, 600, 0.25}, 5, 600);
  CHECK(one.samples_per_s == doctest::Approx(130));
  CHECK(one.transfer_s == doctest::Approx(1.3));
  CHECK(one.loss == 0.25f);
  CHECK(one.reliability == 1);
  one.note_loss();
  CHECK(one.reliability == doctest::Approx(0.7));
  CHECK(one.expected_s(260).value() == doctest::Approx(3.3));
  CHECK_FALSE(ClientMeasures().expected_s(1).has_value());
}

TEST_CASE("slow clients get fewer batches, fast ones more, within bounds") {
  const auto steps = [](const ClientMeasures& one, double target_s) {
    return plan_work(adaptive(target_s), one_epoch(), 600, one, std::nullopt).steps;
  };
  CHECK(steps(client(100), 6) == 20);
  CHECK(steps(client(200), 6) == 40);
  CHECK(steps(client(50), 6) == 10);
  CHECK(steps(client(100, 3), 6) == 10);  // transfers take half of it
  CHECK(steps(client(1), 6) == 2);        // a tenth of the work at least
  CHECK(steps(client(1e6), 6) == 80);     // four times the work at most
  CHECK(steps(client(100, 60), 6) == 2);
  CHECK(steps(ClientMeasures(), 6) == 0);  // nothing is known: the configured work
}

TEST_CASE("without a target, tasks take what the median client needs") {
  const auto measures = MeasuresTable{client(10), client(100), {}, client(1000)};
  const auto median = median_task_s(measures, one_epoch(), [](ClientId) { return 600; });
  REQUIRE(median.has_value());
  CHECK(*median == doctest::Approx(6));
  CHECK(plan_work(adaptive(), one_epoch(), 600, measures[0], median).steps == 2);
  CHECK(plan_work(adaptive(), one_epoch(), 600, measures[1], median).steps == 20);
  CHECK(plan_work(adaptive(), one_epoch(), 600, measures[0], std::nullopt).steps == 0);
  CHECK_FALSE(median_task_s({}, one_epoch(), [](ClientId) { return 600; }).has_value());
  // What the last task was does not change what the configured work takes.
  auto little = MeasuresTable{client(100)};
  little[0].note_answer({0.6, 2, 60, 0.5}, 0.6, 60);
  CHECK(*median_task_s(little, one_epoch(), [](ClientId) { return 600; }) == doctest::Approx(6));
}

TEST_CASE("a deadline follows from what the client's work is expected to take") {
  auto options = WorkOptions();
  options.deadline_factor = 2;
  CHECK(plan_work(options, one_epoch(), 600, client(100, 1), std::nullopt).deadline->count() ==
        doctest::Approx(14));
  CHECK(plan_work(options, one_epoch(), 600, client(100, 1), std::nullopt).steps == 0);
  options.adaptive = true;
  options.target = Seconds(4);
  CHECK(plan_work(options, one_epoch(), 600, client(100, 1), std::nullopt).deadline->count() ==
        doctest::Approx(8));
  CHECK_FALSE(plan_work(options, one_epoch(), 600, ClientMeasures(), std::nullopt).deadline.has_value());
}
