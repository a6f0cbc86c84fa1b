// The factory, the layouts of the built-in networks, and what is refused.
#include <doctest/doctest.h>

#include <cmath>

#include "fixtures.hpp"

using namespace fl;
using namespace fl::torch_tests;

namespace {

const auto kImage = std::vector<std::int64_t>{1, 28, 28};

std::string refusal(const TrainerOptions& options) {
  const auto trainer = make_torch_trainer(options);
  REQUIRE_FALSE(trainer);
  CHECK(trainer.error().code == ec::bad_config);
  return trainer.error().text;
}

ec train_refusal(const Trainer& trainer, const TrainingSettings& settings, ParametersPtr base,
                 std::shared_ptr<const DataView> data) {
  const auto job = trainer.train(settings, std::move(base), std::move(data), 1);
  REQUIRE_FALSE(job);
  CHECK_FALSE(job.error().text.empty());
  return job.error().code;
}

}  // namespace

TEST_CASE("the networks have as many parameters as in their sources") {
  CHECK(trainer_of("simple_cnn", kImage)->layout()->size() == 1'199'882);
  CHECK(trainer_of("mcmahan_cnn", kImage)->layout()->size() == 1'663'370);
  CHECK(trainer_of("mlp_2nn", kImage)->layout()->size() == 199'210);
  CHECK(trainer_of("logistic", kImage)->layout()->size() == 7'850);
  CHECK(trainer_of("logistic", {60}, 5)->layout()->size() == 305);
}

TEST_CASE("the layout names and shapes tensors as PyTorch does") {
  const auto layout = trainer_of("simple_cnn", kImage)->layout();
  auto names = std::vector<std::string>();
  for (const auto& entry : layout->entries()) names.push_back(entry.name);
  CHECK(names == std::vector<std::string>{"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias",
                                          "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"});
  CHECK(layout->entries()[2].shape == std::vector<std::int64_t>{64, 32, 3, 3});
  CHECK(layout->entries()[4].shape == std::vector<std::int64_t>{128, 9216});
}

TEST_CASE("initial parameters follow the seed and PyTorch's bounds") {
  const auto trainer = trainer_of("simple_cnn", kImage);
  const auto model = trainer->initial_parameters(1);
  CHECK(model.sha256() == trainer->initial_parameters(1).sha256());
  CHECK(model.sha256() != trainer->initial_parameters(2).sha256());
  const auto fan_in = std::vector<double>{9, 9, 288, 288, 9216, 9216, 128, 128};
  for (auto i = std::size_t{0}; i < fan_in.size(); ++i) {
    const auto bound = 1 / std::sqrt(fan_in[i]);
    auto largest = 0.0;
    for (const auto value : model.values_of(trainer->layout()->entries()[i])) {
      largest = std::max(largest, std::abs(static_cast<double>(value)));
    }
    CAPTURE(trainer->layout()->entries()[i].name);
    CHECK(largest <= bound * (1 + 1e-6));
    CHECK(largest > 0.7 * bound);
  }
}

TEST_CASE("options that cannot work are refused with what to do") {
  auto options = TrainerOptions();
  options.device = "cpu";
  options.sample_shape = kImage;
  options.model = "resnet";
  CHECK(refusal(options).find("simple_cnn") != std::string::npos);
  options.model = "flat";
  CHECK(refusal(options).find("echo") != std::string::npos);
  options.model = "simple_cnn";
  options.precision = "fp16";
  CHECK(refusal(options).find("bf16") != std::string::npos);
  options.precision = "fp32";
  options.device = "tpu";
  CHECK(refusal(options).find("auto") != std::string::npos);
  options.device = "cpu";
  options.threads = 0;
  CHECK(refusal(options).find("threads") != std::string::npos);
  options.threads = 1;
  options.classes = 1;
  CHECK(refusal(options).find("classes") != std::string::npos);
  options.classes = 10;
  options.sample_shape = {3, 32, 32};
  CHECK(refusal(options).find("[1, 28, 28]") != std::string::npos);
  options.model = "logistic";
  options.sample_shape = {};
  CHECK(refusal(options).find("input size") != std::string::npos);
}

TEST_CASE("training refuses what does not fit") {
  const auto trainer = trainer_of("logistic", {4}, 3);
  const auto base = initial(*trainer);
  const auto data = blobs({4}, 3, 8);

  CHECK(train_refusal(*trainer, {}, nullptr, data) == ec::layout_mismatch);
  CHECK(train_refusal(*trainer, {}, std::make_shared<Parameters>(), data) == ec::layout_mismatch);
  CHECK(train_refusal(*trainer, {}, initial(*trainer_of("logistic", {5}, 3)), data) == ec::layout_mismatch);

  CHECK(train_refusal(*trainer, {}, base, nullptr) == ec::bad_data);
  CHECK(train_refusal(*trainer, {}, base, std::make_shared<DataView>(DataView{data->dataset, {}})) ==
        ec::bad_data);
  CHECK(train_refusal(*trainer, {}, base, std::make_shared<DataView>(DataView{data->dataset, {8}})) ==
        ec::bad_data);
  CHECK(train_refusal(*trainer, {}, base, blobs({5}, 3, 8)) == ec::bad_data);
  CHECK(train_refusal(*trainer, {}, base, blobs({4}, 9, 64)) ==
        ec::bad_data);  // labels beyond the model's classes

  CHECK_FALSE(trainer->evaluate(nullptr, data));
  CHECK_FALSE(trainer->evaluate(base, blobs({5}, 3, 8)));
}

TEST_CASE("settings out of range are refused") {
  const auto trainer = trainer_of("logistic", {4}, 3);
  const auto base = initial(*trainer);
  const auto data = blobs({4}, 3, 8);
  const auto refused = [&](auto change) {
    auto settings = TrainingSettings();
    change(settings);
    CHECK(train_refusal(*trainer, settings, base, data) == ec::bad_config);
  };
  refused([](auto& s) { s.batch_size = 0; });
  refused([](auto& s) { s.epochs = 0; });
  refused([](auto& s) { s.learning_rate = 0; });
  refused([](auto& s) { s.learning_rate = std::nan(""); });
  refused([](auto& s) { s.momentum = 1; });
  refused([](auto& s) { s.nesterov = true; });
  refused([](auto& s) { s.weight_decay = -1; });
  refused([](auto& s) { s.proximal_mu = -1; });
  refused([](auto& s) { s.optimizer = "lbfgs"; });
  refused([](auto& s) { s.balance.name = "smote"; });
  refused([](auto& s) { s.balance.ratio = 0; });
  refused([](auto& s) { s.balance.loss_beta = 1; });
  refused([](auto& s) { s.augmentation.shift = -0.1; });
  refused([](auto& s) { s.augmentation.rotation = std::nan(""); });
  refused([](auto& s) { s.augmentation.scale = 1; });
  refused([](auto& s) { s.augmentation.elastic = 2; });
  refused([](auto& s) { s.augmentation.erasing = 1.5; });
  // These samples are no images.
  refused([](auto& s) { s.augmentation.all = true; });
  refused([](auto& s) { s.balance.name = "augment"; });
  refused([](auto& s) {
    s.optimizer = "adam";
    s.momentum = 0.9;
  });
}
