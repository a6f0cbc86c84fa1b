// The trainer with a real worker pool that works when the test says so.
#include "actors/trainer.hpp"

#include <doctest/doctest.h>

#include "tests/support/fake_trainer.hpp"
#include "tests/support/virtual_time.hpp"

using namespace fl;

namespace {

struct Fixture {
  test::VirtualTime time;
  std::shared_ptr<test::FakeTrainer> means = std::make_shared<test::FakeTrainer>(2.0);
  TrainerActorOptions options;
  Result<TrainingMeans> loaded = TrainingMeans{means, test::data_of(10), test::data_of(4)};
  trainer_actor actor;

  Fixture() {
    options.prepare = [this](const Welcome&) { return loaded; };
    options.pool = time.pool.pool();
    options.chaos = std::make_shared<Chaos>();
  }
  void start() { actor = time.spawn(trainer, options); }

  Result<Ready> prepare(std::uint64_t fingerprint = 0, const std::string& content = "delta") {
    auto welcome = Welcome();
    welcome.seed = 5;
    welcome.layout_fingerprint = fingerprint;
    welcome.update_content = content;
    return time.ask<Ready>(actor, prepare_atom_v, welcome);
  }
  static Task task(TaskId id, TaskKind kind = TaskKind::train) {
    auto task = Task();
    task.id = id;
    task.epoch = 1;
    task.client = 2;
    task.base = 3;
    task.stream = id;
    task.kind = kind;
    return task;
  }
  test::Awaited<TrainedUpdatePtr> train(const Task& task) {
    return time.request<TrainedUpdatePtr>(actor, train_atom_v, task, base(), ResidualPtr());
  }
  static ParametersPtr base() {
    return std::make_shared<const Parameters>(test::counting(test::small_layout(), 3));
  }

  /// The first number of an update.
  static float value_of(const TrainedUpdatePtr& update, std::string_view section = "delta") {
    const auto decoded = decode_header(*update->blob);
    REQUIRE(decoded);
    const auto* found = decoded->envelope.find(section);
    REQUIRE(found != nullptr);
    auto value = 0.0f;
    REQUIRE(update->blob->read(decoded->payload_offset + found->offset,
                               std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }
};

}  // namespace

TEST_CASE("a trainer says what it has, and refuses a model of another kind") {
  auto fixture = Fixture();
  fixture.start();
  const auto ready = fixture.prepare(test::small_layout()->fingerprint());
  REQUIRE(ready);
  CHECK(ready->samples == 10);
  CHECK(ready->validation_samples == 4);
  CHECK(ready->label_histogram == std::vector<std::uint64_t>{5, 5});
  CHECK(fixture.prepare(1).error().code == ec::layout_mismatch);
  fixture.loaded = fail(ec::bad_data, "no files");
  CHECK(fixture.prepare().error().code == ec::bad_data);
}

TEST_CASE("an update comes when a client of this speed would have it") {
  for (const auto speed : {1.0, 10.0}) {
    auto fixture = Fixture();
    fixture.options.speed = speed;
    fixture.start();
    fixture.prepare();
    const auto begin = fixture.time.now();
    const auto update = fixture.train(Fixture::task(7));
    CHECK_FALSE(update->has_value());
    REQUIRE(fixture.time.pass_until([&] { return update->has_value(); }));
    CHECK(Seconds(fixture.time.now() - begin).count() == doctest::Approx(2 * speed));
    REQUIRE(**update);
    const auto& info = (**update).value()->info;
    CHECK(info.task == 7);
    CHECK(info.client == 2);
    CHECK(info.base == 3);
    CHECK(info.samples == 10);
    CHECK(info.base_evaluation.samples == 0);
    CHECK(Fixture::value_of((**update).value()) == doctest::Approx(-1).epsilon(0.02));
  }
}

TEST_CASE("an update depends on the task's stream, the client and the base alone") {
  const auto value = [](TaskId id) {
    auto fixture = Fixture();
    fixture.start();
    fixture.prepare();
    const auto update = fixture.train(Fixture::task(id));
    fixture.time.pass(std::chrono::seconds(2));
    return Fixture::value_of((**update).value());
  };
  CHECK(value(7) == value(7));
  CHECK(value(7) != value(8));
}

TEST_CASE("FedAsync's clients send their model") {
  auto fixture = Fixture();
  fixture.start();
  fixture.prepare(0, "model");
  const auto update = fixture.train(Fixture::task(7));
  fixture.time.pass(std::chrono::seconds(2));
  CHECK(Fixture::value_of((**update).value(), "model") == doctest::Approx(2).epsilon(0.02));
}

TEST_CASE("a base is evaluated when asked for, alone or before training") {
  auto fixture = Fixture();
  fixture.start();
  fixture.prepare();
  auto both = Fixture::task(7);
  both.evaluate_base = true;
  const auto trained = fixture.train(both);
  fixture.time.pass(std::chrono::seconds(2));
  const auto& evaluation = (**trained).value()->info.base_evaluation;
  CHECK(evaluation.version == 3);
  CHECK(evaluation.samples == 4);
  CHECK(evaluation.loss == 3);

  auto only = Fixture::task(8, TaskKind::evaluate);
  only.evaluate_base = true;
  const auto evaluated = fixture.train(only);
  REQUIRE(evaluated->has_value());  // takes no time of a client's
  CHECK((**evaluated).value()->info.samples == 0);
  CHECK((**evaluated).value()->info.base_evaluation.loss == 3);
  CHECK(fixture.means->trainings == 1);
}

TEST_CASE("a cancelled task is answered so, and another may come at once") {
  auto fixture = Fixture();
  fixture.start();
  fixture.prepare();
  const auto first = fixture.train(Fixture::task(7));
  fixture.time.tell(fixture.actor, cancel_atom_v, TaskId{6});
  CHECK_FALSE(first->has_value());
  fixture.time.tell(fixture.actor, cancel_atom_v, TaskId{7});
  REQUIRE(first->has_value());
  CHECK((**first).error().code == ec::cancelled);

  const auto second = fixture.train(Fixture::task(8));
  const auto third = fixture.train(Fixture::task(9));
  CHECK((**second).error().code == ec::cancelled);
  fixture.time.pass(std::chrono::seconds(2));
  REQUIRE(third->has_value());
  CHECK((**third).value()->info.task == 9);
}

TEST_CASE("a trainer that is not prepared, or fails, answers with why") {
  auto fixture = Fixture();
  fixture.start();
  CHECK((**fixture.train(Fixture::task(7))).error().code == ec::unavailable);
}

TEST_CASE("a trainer that crashes leaves nothing behind in the pool") {
  auto fixture = Fixture();
  fixture.options.chaos = Chaos::parse({"trainer-0@task=2"}).value();
  fixture.start();
  fixture.prepare();
  const auto first = fixture.train(Fixture::task(7));
  const auto end = fixture.time.end_of(fixture.actor);
  const auto second = fixture.train(Fixture::task(8));
  CHECK(end->has_value());
  CHECK((**first).error().code == ec::cancelled);
  fixture.time.pass(std::chrono::minutes(1));
  CHECK_FALSE(second->has_value());  // a crash answers nobody
}
