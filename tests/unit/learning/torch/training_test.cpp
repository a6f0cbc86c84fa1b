// Training and evaluation jobs: what they count, what they must not depend on, and that they learn.
#include <doctest/doctest.h>

#include <cmath>
#include <thread>

#include "fixtures.hpp"

using namespace fl;
using namespace fl::torch_tests;

namespace {

using Names = std::vector<std::string>;

const auto kImage = std::vector<std::int64_t>{1, 28, 28};

}  // namespace

TEST_CASE("the result does not depend on where slices are cut, nor on the thread") {
  for (const auto& model : Names{"simple_cnn", "mcmahan_cnn", "mlp_2nn"}) {
    for (const auto& precision : Names{"fp32", "bf16"}) {
      CAPTURE(model);
      CAPTURE(precision);
      const auto trainer = trainer_of(model, kImage, 10, precision);
      const auto data = blobs(kImage, 10, 21);
      const auto base = initial(*trainer);
      auto settings = TrainingSettings();
      settings.epochs = 2;
      settings.batch_size = 8;
      settings.momentum = 0.9;
      const auto whole = train(*trainer, settings, base, data);
      CHECK(train(*trainer, settings, base, data, false, /*one_batch_slices=*/true) == whole);

      const auto job = trainer->train(settings, base, data, 11).value();
      auto done = false;
      while (!done) std::jthread([&] { done = job->run_slice({}); }).join();
      auto update = std::vector<float>(whole.size());
      job->write_update(update, false);
      CHECK(update == whole);
    }
  }
}

TEST_CASE("augmented training does not depend on slices either, and its images come from the stream's seed") {
  const auto trainer = trainer_of("mlp_2nn", kImage);
  const auto data = blobs(kImage, 10, 30);
  const auto base = initial(*trainer);
  auto settings = TrainingSettings();
  settings.epochs = 2;
  settings.batch_size = 30;  // the order within a batch matters little, so what differs is the augmentation
  const auto plain = train(*trainer, settings, base, data);
  settings.augmentation.all = true;
  settings.augmentation.erasing = 0.5;
  const auto augmented = train(*trainer, settings, base, data);
  CHECK(augmented != plain);
  CHECK(train(*trainer, settings, base, data) == augmented);
  CHECK(train(*trainer, settings, base, data, false, /*one_batch_slices=*/true) == augmented);
  CHECK(train(*trainer, settings, base, data, false, false, 12) != augmented);
}

TEST_CASE("balanced training takes as many steps as the longer epoch has, and claims no more samples") {
  const auto trainer = trainer_of("mlp_2nn", kImage);
  auto all = *blobs(kImage, 2, 200);
  // Label 1 becomes rare.
  auto kept = 0;
  std::erase_if(all.rows, [&](auto row) { return all.dataset->label(row) == 1 && ++kept > 5; });
  const auto data = std::make_shared<const DataView>(all);
  const auto ordinary = data->size() - 5;
  auto settings = TrainingSettings();
  settings.batch_size = 10;
  const auto base = initial(*trainer);
  auto updates = std::vector<std::vector<float>>();
  for (const auto* name : {"none", "oversample", "augment"}) {
    CAPTURE(name);
    settings.balance.name = name;
    const auto job = trainer->train(settings, base, data, 11).value();
    run(*job);
    const auto trained = settings.balance.adds_samples() ? 2 * ordinary : data->size();
    CHECK(job->report().steps == (trained + 9) / 10);
    CHECK(job->report().samples == data->size());
    updates.emplace_back(trainer->layout()->size());
    job->write_update(updates.back(), false);
  }
  CHECK(updates[0] != updates[1]);
  CHECK(updates[1] != updates[2]);
}

TEST_CASE("two jobs at once do not disturb each other") {
  const auto trainer = trainer_of("simple_cnn", kImage);
  const auto data = blobs(kImage, 10, 24);
  const auto base = initial(*trainer);
  auto settings = TrainingSettings();
  settings.batch_size = 8;
  const auto alone = train(*trainer, settings, base, data);
  auto together = std::vector<std::vector<float>>(2);
  {
    auto threads = std::vector<std::jthread>();
    for (auto& update : together)
      threads.emplace_back([&] { update = train(*trainer, settings, base, data); });
  }
  CHECK(together[0] == alone);
  CHECK(together[1] == alone);
}

TEST_CASE("the order of samples comes from the stream's seed") {
  const auto trainer = trainer_of("logistic", {4}, 3);
  const auto data = blobs({4}, 3, 50);
  const auto base = initial(*trainer);
  const auto settings = TrainingSettings();
  CHECK(train(*trainer, settings, base, data, false, false, 1) ==
        train(*trainer, settings, base, data, false, false, 1));
  CHECK(train(*trainer, settings, base, data, false, false, 1) !=
        train(*trainer, settings, base, data, false, false, 2));
}

TEST_CASE("an update is the model less the base") {
  const auto trainer = trainer_of("logistic", {4}, 3);
  const auto data = blobs({4}, 3, 50);
  const auto base = initial(*trainer);
  const auto model = train(*trainer, {}, base, data, /*whole_model=*/true);
  const auto delta = train(*trainer, {}, base, data, /*whole_model=*/false);
  for (auto i = std::size_t{0}; i < model.size(); ++i) CHECK(delta[i] == model[i] - base->values()[i]);
}

TEST_CASE("epochs and steps say the same") {
  const auto trainer = trainer_of("logistic", {4}, 3);
  const auto data = blobs({4}, 3, 70);  // 3 batches of 32, the last of 6
  const auto base = initial(*trainer);
  auto settings = TrainingSettings();
  settings.epochs = 2;
  const auto by_epochs = train(*trainer, settings, base, data);
  settings.epochs = 1;
  settings.steps = 6;
  CHECK(train(*trainer, settings, base, data) == by_epochs);
  settings.steps = 7;
  CHECK(train(*trainer, settings, base, data) != by_epochs);
}

TEST_CASE("a report counts steps and distinct samples") {
  const auto trainer = trainer_of("logistic", {4}, 3);
  const auto data = blobs({4}, 3, 70);
  const auto base = initial(*trainer);
  auto settings = TrainingSettings();
  settings.epochs = 3;
  auto job = trainer->train(settings, base, data, 1).value();
  CHECK(job->report().steps == 0);
  CHECK_FALSE(job->run_slice({}));  // a deadline in the past: one batch
  CHECK(job->report().steps == 1);
  CHECK(job->report().samples == 32);
  CHECK(run(*job, /*one_batch_slices=*/true) == 8);
  CHECK(job->report().steps == 9);
  CHECK(job->report().samples == 70);
  CHECK(job->report().compute_seconds > 0);
  CHECK(job->report().train_loss > 0);

  settings.steps = 2;
  job = trainer->train(settings, base, data, 1).value();
  CHECK(run(*job) == 1);
  CHECK(job->report().samples == 64);
}

TEST_CASE("every network learns separable samples, in both precisions") {
  for (const auto& model : Names{"simple_cnn", "mcmahan_cnn", "mlp_2nn", "logistic"}) {
    for (const auto& precision : Names{"fp32", "bf16"}) {
      CAPTURE(model);
      CAPTURE(precision);
      const auto trainer = trainer_of(model, kImage, 4, precision);
      const auto data = blobs(kImage, 4, 192);
      const auto base = initial(*trainer);
      auto settings = TrainingSettings();
      settings.epochs = 5;
      settings.learning_rate = 0.02;
      const auto before = evaluate(*trainer, base, data);
      const auto after = evaluate(*trainer, moved(*base, train(*trainer, settings, base, data)), data);
      CHECK(before.samples == 192);
      CHECK(before.loss == doctest::Approx(std::log(4)).epsilon(0.5));
      CHECK(after.loss < 0.5 * before.loss);
      CHECK(after.accuracy > 0.95);
    }
  }
}

TEST_CASE("bf16 ends close to fp32, and small steps are not lost to its rounding") {
  const auto data = blobs(kImage, 10, 128);
  auto settings = TrainingSettings();
  settings.learning_rate = 1e-4;  // steps far below the spacing of bf16 numbers
  const auto fp32 = trainer_of("simple_cnn", kImage, 10, "fp32");
  const auto bf16 = trainer_of("simple_cnn", kImage, 10, "bf16");
  const auto base = initial(*fp32);
  const auto a = train(*fp32, settings, base, data);
  const auto b = train(*bf16, settings, base, data);
  auto dot = 0.0;
  auto aa = 0.0;
  auto bb = 0.0;
  for (auto i = std::size_t{0}; i < a.size(); ++i) {
    dot += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    aa += static_cast<double>(a[i]) * static_cast<double>(a[i]);
    bb += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  CHECK(dot / std::sqrt(aa * bb) > 0.99);
  CHECK(std::sqrt(bb / aa) == doctest::Approx(1).epsilon(0.05));
}

TEST_CASE("evaluation does not depend on its slices") {
  const auto trainer = trainer_of("mlp_2nn", {6}, 3);
  const auto data = blobs({6}, 3, 500);
  const auto model = initial(*trainer);
  const auto whole = evaluate(*trainer, model, data);
  const auto job = trainer->evaluate(model, data).value();
  CHECK(run(*job, /*one_batch_slices=*/true) > 1);
  CHECK(job->report().loss == whole.loss);
  CHECK(job->report().accuracy == whole.accuracy);
  CHECK(job->report().samples == 500);
}
