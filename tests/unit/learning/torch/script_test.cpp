// Models from TorchScript files: what is trained, what is not, and what is refused.
#include <torch/script.h>
// torch first: its CHECK would replace doctest's.
#undef CHECK
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "fixtures.hpp"

using namespace fl;
using namespace fl::torch_tests;

namespace {

using torch::jit::Module;

/// A file that is gone when the test ends.
class ModelFile {
 public:
  explicit ModelFile(const Module& module) { module.save(path.string()); }
  explicit ModelFile(const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }
  ~ModelFile() { std::filesystem::remove(path); }
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;

  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("fl_script_" + std::to_string(::getpid()) + ".pt");
};

at::Tensor trained(const at::Tensor& values) {
  return values.clone().set_requires_grad(true);
}

Module linear(std::int64_t inputs, std::int64_t outputs) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(5);
  auto module = Module("Linear");
  module.register_parameter("weight", trained(at::empty({outputs, inputs}).uniform_(-0.3, 0.3, generator)),
                            false);
  module.register_parameter("bias", trained(at::zeros({outputs})), false);
  module.register_attribute("training", c10::BoolType::get(), true);
  module.define("def forward(self, x):\n    return torch.linear(x, self.weight, self.bias)\n");
  return module;
}

/// A hidden layer with batch norm and dropout.
Module normed(double dropout) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(6);
  auto norm = Module("Norm");
  norm.register_parameter("weight", trained(at::ones({8})), false);
  norm.register_parameter("bias", trained(at::zeros({8})), false);
  norm.register_buffer("running_mean", at::zeros({8}));
  norm.register_buffer("running_var", at::ones({8}));
  norm.register_buffer("num_batches_tracked", at::zeros({}, at::kLong));
  norm.register_attribute("training", c10::BoolType::get(), true);
  norm.define(R"(
def forward(self, x):
    if self.training:
        self.num_batches_tracked.add_(1)
    return torch.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var, self.training, 0.1, 1e-5,
                            False)
)");
  auto module = Module("Model");
  module.register_module("norm", norm);
  module.register_parameter("hidden", trained(at::empty({8, 4}).uniform_(-0.5, 0.5, generator)), false);
  module.register_parameter("out", trained(at::empty({3, 8}).uniform_(-0.5, 0.5, generator)), false);
  module.register_attribute("training", c10::BoolType::get(), true);
  module.register_attribute("rate", c10::FloatType::get(), dropout);
  module.define(R"(
def forward(self, x):
    x = torch.relu(self.norm.forward(torch.linear(x, self.hidden)))
    return torch.linear(torch.dropout(x, self.rate, self.training), self.out)
)");
  return module;
}

TrainerOptions options_for(const std::filesystem::path& file, std::vector<std::int64_t> shape,
                           std::uint32_t classes) {
  auto options = TrainerOptions();
  options.model_file = file;
  options.device = "cpu";
  options.sample_shape = std::move(shape);
  options.classes = classes;
  return options;
}

TrainerPtr script_trainer(const Module& module, std::vector<std::int64_t> shape, std::uint32_t classes) {
  const auto file = ModelFile(module);
  return make_torch_trainer(options_for(file.path, std::move(shape), classes)).value();
}

const LayoutEntry* entry(const Layout& layout, const std::string& name) {
  const auto found = std::ranges::find(layout.entries(), name, &LayoutEntry::name);
  return found == layout.entries().end() ? nullptr : &*found;
}

std::string refusal(const TrainerOptions& options) {
  const auto trainer = make_torch_trainer(options);
  if (trainer) return "";
  CHECK(trainer.error().code == ec::bad_config);
  return trainer.error().text;
}

bool holds(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a script trains to the same numbers as the built-in network of the same form") {
  const auto script = script_trainer(linear(4, 3), {4}, 3);
  const auto built_in = trainer_of("logistic", {4}, 3);
  const auto data = blobs({4}, 3, 50);
  REQUIRE(script->layout()->size() == built_in->layout()->size());
  auto begin = Parameters(built_in->layout());
  const auto own = script->initial_parameters(1);
  std::ranges::copy(own.values(), begin.values().begin());
  auto settings = TrainingSettings();
  settings.epochs = 3;
  settings.momentum = 0.9;
  settings.proximal_mu = 0.1;
  const auto expected =
      train(*built_in, settings, std::make_shared<const Parameters>(std::move(begin)), data);
  const auto update = train(*script, settings, initial(*script), data);
  for (std::size_t i = 0; i < update.size(); ++i)
    CHECK(static_cast<double>(update[i]) == doctest::Approx(static_cast<double>(expected[i])).epsilon(1e-5));
}

TEST_CASE("version 0 is what the file holds, by names; buffers are statistics, integers stay out") {
  const auto trainer = script_trainer(normed(0.5), {4}, 3);
  const auto& layout = *trainer->layout();
  REQUIRE(entry(layout, "norm.weight"));
  CHECK(entry(layout, "norm.weight")->kind == EntryKind::trainable);
  REQUIRE(entry(layout, "norm.running_var"));
  CHECK(entry(layout, "norm.running_var")->kind == EntryKind::buffer);
  CHECK(entry(layout, "norm.num_batches_tracked") == nullptr);
  const auto model = trainer->initial_parameters(1);
  for (const auto value : model.values_of(*entry(layout, "norm.running_var"))) CHECK(value == 1);
  CHECK(model.sha256() == trainer->initial_parameters(2).sha256());
}

TEST_CASE("batch norm's statistics move while training and are used, not moved, by evaluation") {
  const auto trainer = script_trainer(normed(0), {4}, 3);
  const auto data = blobs({4}, 3, 200);
  const auto base = initial(*trainer);
  auto settings = TrainingSettings();
  settings.epochs = 10;
  settings.learning_rate = 0.1;
  const auto update = train(*trainer, settings, base, data);
  const auto& mean = *entry(*trainer->layout(), "norm.running_mean");
  const auto moved_by = std::span(update).subspan(mean.offset, mean.size);
  CHECK(std::ranges::any_of(moved_by, [](float value) { return std::abs(value) > 0.01f; }));
  const auto model = moved(*base, update);
  const auto before = model->sha256();
  const auto evaluation = evaluate(*trainer, model, data);
  CHECK(evaluation.accuracy > 0.9);
  CHECK(evaluate(*trainer, model, data).loss == evaluation.loss);
  CHECK(model->sha256() == before);
}

TEST_CASE("dropout comes from the stream's seed, whatever else goes on") {
  const auto trainer = script_trainer(normed(0.5), {4}, 3);
  const auto data = blobs({4}, 3, 60);
  const auto base = initial(*trainer);
  auto settings = TrainingSettings();
  settings.epochs = 5;
  const auto alone = train(*trainer, settings, base, data);
  CHECK(train(*trainer, settings, base, data, false, /*one_batch_slices=*/true) == alone);
  CHECK(train(*trainer, settings, base, data, false, false, 12) != alone);
  auto together = std::vector<std::vector<float>>(4);
  {
    auto threads = std::vector<std::jthread>();
    for (auto& update : together)
      threads.emplace_back([&] { update = train(*trainer, settings, base, data); });
  }
  for (const auto& update : together) CHECK(update == alone);
}

TEST_CASE("tied weights are one tensor, and frozen ones are not trained") {
  auto module = Module("Tied");
  const auto weight = trained(at::eye(4) * 0.5);
  module.register_parameter("weight", weight, false);
  module.register_parameter("again", weight, false);
  module.register_parameter("fixed", at::full({4}, 0.5), false);
  module.define(
      "def forward(self, x):\n    return torch.linear(torch.linear(x, self.weight), self.again, "
      "self.fixed)\n");
  const auto trainer = script_trainer(module, {4}, 4);
  const auto& layout = *trainer->layout();
  CHECK(layout.size() == 16 + 4);
  REQUIRE(entry(layout, "fixed"));
  CHECK(entry(layout, "fixed")->kind == EntryKind::buffer);
  const auto data = blobs({4}, 4, 100);
  auto settings = TrainingSettings();
  settings.epochs = 5;
  settings.learning_rate = 0.1;
  const auto base = initial(*trainer);
  const auto model = train(*trainer, settings, base, data, /*whole_model=*/true);
  for (const auto value : std::span(model).subspan(entry(layout, "fixed")->offset, 4)) CHECK(value == 0.5f);
  CHECK(evaluate(*trainer, moved(*base, train(*trainer, settings, base, data)), data).accuracy > 0.9);
}

TEST_CASE("an exported script gives the answers that were evaluated, in evaluation mode") {
  const auto trainer = script_trainer(normed(0.5), {4}, 3);
  const auto data = blobs({4}, 3, 60);
  auto settings = TrainingSettings();
  settings.epochs = 5;
  const auto base = initial(*trainer);
  const auto model = moved(*base, train(*trainer, settings, base, data));
  const auto file = ModelFile(std::string());
  REQUIRE(trainer->export_torchscript(*model, file.path, {}));
  auto module = torch::jit::load(file.path.string());
  CHECK_FALSE(module.is_training());
  auto x = at::empty({60, 4});
  auto y = at::empty({60}, at::kLong);
  data->dataset->gather(data->rows, {x.data_ptr<float>(), 240}, {y.data_ptr<std::int64_t>(), 60});
  const auto loss = at::cross_entropy_loss(module.forward({x}).toTensor(), y).item<double>();
  CHECK(evaluate(*trainer, model, data).loss == doctest::Approx(loss).epsilon(1e-5));
}

TEST_CASE("numbers are predicted with mse and huber, two classes with bce") {
  auto random = RandomStream(4);
  auto features = std::vector<float>();
  auto targets = std::vector<float>();
  auto labels = std::vector<std::int64_t>();
  for (auto i = 0; i < 200; ++i) {
    for (auto j = 0; j < 2; ++j) features.push_back(static_cast<float>(random.normal()));
    const auto* x = &features[features.size() - 2];
    targets.push_back(3 * x[0] - 2 * x[1] + 1);
    labels.push_back(targets.back() > 1);
  }
  const auto numbers = std::make_shared<const DataView>(
      DataView::all(std::make_shared<const Dataset>(std::vector<std::int64_t>{2}, features, targets)));
  const auto classes = std::make_shared<const DataView>(
      DataView::all(std::make_shared<const Dataset>(std::vector<std::int64_t>{2}, 2, features, labels)));
  auto settings = TrainingSettings();
  settings.epochs = 60;
  settings.learning_rate = 0.05;
  const auto file = ModelFile(linear(2, 1));
  const auto quality = [&](LossName loss, const std::shared_ptr<const DataView>& data) {
    auto options = options_for(file.path, {2}, data->dataset->classes());
    options.loss = loss;
    const auto trainer = make_torch_trainer(options).value();
    const auto base = initial(*trainer);
    return evaluate(*trainer, moved(*base, train(*trainer, settings, base, data)), data);
  };
  for (const auto loss : {LossName::mse, LossName::huber}) {
    const auto evaluation = quality(loss, numbers);
    CHECK(evaluation.metrics.at("mae") < 0.05);
    CHECK(evaluation.metrics.at("r2") > 0.999);
    CHECK(evaluation.accuracy == evaluation.metrics.at("r2"));
  }
  const auto evaluation = quality(LossName::bce, classes);
  CHECK(evaluation.accuracy > 0.97);
  CHECK(evaluation.metrics.at("auroc") > 0.99);
  CHECK(evaluation.metrics.at("f1") > 0.97);
}

TEST_CASE("files that do not fit are refused, with what and where") {
  const auto good = ModelFile(linear(4, 3));
  auto options = options_for(good.path, {4}, 3);
  CHECK(refusal(options).empty());
  options.sample_shape = {5};
  CHECK(holds(refusal(options), "cannot take samples of shape [5]"));
  options.sample_shape = {4};
  options.classes = 10;
  CHECK(holds(refusal(options), "outputs of shape [2, 3], which does not fit 10 classes"));
  options.classes = 2;
  options.loss = LossName::bce;
  CHECK(holds(refusal(options), "\"bce\" [N, 1]"));
  options = options_for(good.path, {4}, 3);
  options.loss = LossName::bce;
  CHECK(holds(refusal(options), "two classes, and the data has 3"));
  options.loss = LossName::mse;
  CHECK(holds(refusal(options), "labels of 3 classes"));
  options = options_for(good.path, {4}, 3);
  options.precision = "bf16";
  CHECK(holds(refusal(options), "train.precision"));
  CHECK(holds(refusal(options_for("/no/such/model.pt", {4}, 3)), "/no/such/model.pt"));
}

TEST_CASE("damaged files and other types are refused") {
  CHECK(holds(refusal(options_for(ModelFile("this is no model").path, {4}, 3)), "cannot be read"));
  {
    const auto file = ModelFile(std::string("PK\x03\x04 and nothing more"));
    CHECK(holds(refusal(options_for(file.path, {4}, 3)), "cannot be read as TorchScript"));
  }
  auto wide = Module("Wide");
  wide.register_parameter("weight", at::zeros({3, 4}, at::kDouble), false);
  wide.define("def forward(self, x):\n    return torch.linear(x, self.weight)\n");
  const auto doubles = ModelFile(wide);
  CHECK(holds(refusal(options_for(doubles.path, {4}, 3)), "\"weight\" is of type Double"));
}

TEST_CASE("a model without parameters is refused") {
  auto module = Module("Nothing");
  module.define("def forward(self, x):\n    return x\n");
  const auto file = ModelFile(module);
  CHECK(holds(refusal(options_for(file.path, {4}, 4)), "no parameters"));
}

TEST_CASE("an RNN, which computes with a list of its weights, is trained") {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(9);
  const auto random = [&](std::vector<std::int64_t> shape) {
    return trained(at::empty(shape).uniform_(-0.4, 0.4, generator));
  };
  auto module = Module("Recurrent");
  auto weights = c10::List<at::Tensor>();
  for (const auto& [name, shape] : std::vector<std::pair<std::string, std::vector<std::int64_t>>>{
           {"weight_ih", {24, 2}}, {"weight_hh", {24, 8}}, {"bias_ih", {24}}, {"bias_hh", {24}}}) {
    const auto weight = random(shape);
    module.register_parameter(name, weight, false);
    weights.push_back(weight);
  }
  module.register_attribute("flat_weights", c10::ListType::ofTensors(), weights);
  module.register_parameter("head", random({3, 8}), false);
  module.define(R"(
def forward(self, x):
    start = torch.zeros([1, x.size(0), 8])
    out, last = torch.gru(x, start, self.flat_weights, True, 1, 0.0, False, False, True)
    return torch.linear(out[:, -1], self.head)
)");
  const auto trainer = script_trainer(module, {5, 2}, 3);
  const auto data = blobs({5, 2}, 3, 120);
  auto settings = TrainingSettings();
  settings.epochs = 20;
  settings.learning_rate = 0.2;
  const auto base = initial(*trainer);
  const auto update = train(*trainer, settings, base, data);
  for (const auto& one : trainer->layout()->entries()) {
    CAPTURE(one.name);
    const auto values = std::span(update).subspan(one.offset, one.size);
    CHECK(std::ranges::any_of(values, [](float value) { return value != 0; }));
  }
  const auto model = moved(*base, update);
  CHECK(evaluate(*trainer, model, data).accuracy > 0.9);
  const auto file = ModelFile(std::string());
  REQUIRE(trainer->export_torchscript(*model, file.path, {}));
  const auto again = make_torch_trainer(options_for(file.path, {5, 2}, 3)).value();
  CHECK(evaluate(*again, initial(*again), data).loss ==
        doctest::Approx(evaluate(*trainer, model, data).loss).epsilon(1e-5));
}

TEST_CASE("slices of one memory stay different tensors, other views of a tensor are refused") {
  const auto memory = at::rand({2, 4});
  auto module = Module("Slices");
  module.register_parameter("a", memory[0].set_requires_grad(true), false);
  module.register_parameter("b", memory[1].set_requires_grad(true), false);
  module.define("def forward(self, x):\n    return torch.stack([x.mv(self.a), x.mv(self.b)], 1)\n");
  const auto trainer = script_trainer(module, {4}, 2);
  const auto data = blobs({4}, 2, 60);
  const auto base = initial(*trainer);
  const auto a = base->values_of(*entry(*trainer->layout(), "a"));
  const auto b = base->values_of(*entry(*trainer->layout(), "b"));
  CHECK_FALSE(std::ranges::equal(a, b));
  auto settings = TrainingSettings();
  settings.epochs = 10;
  const auto model = moved(*base, train(*trainer, settings, base, data));
  const auto file = ModelFile(std::string());
  REQUIRE(trainer->export_torchscript(*model, file.path, {}));
  const auto again = make_torch_trainer(options_for(file.path, {4}, 2)).value();
  CHECK(initial(*again)->sha256() == model->sha256());
}

TEST_CASE("another view of a tensor is refused") {
  auto module = Module("Transposed");
  const auto weight = trained(at::rand({4, 4}));
  module.register_parameter("weight", weight, false);
  module.register_parameter("turned", weight.detach().t().set_requires_grad(true), false);
  module.define(
      "def forward(self, x):\n    return torch.linear(torch.linear(x, self.weight), self.turned)\n");
  const auto file = ModelFile(module);
  CHECK(holds(refusal(options_for(file.path, {4}, 4)), "another view of a tensor"));
}

TEST_CASE("a forward pass that keeps something for the next is refused") {
  auto keeping = Module("Keeping");
  keeping.register_parameter("weight", trained(at::rand({3, 4})), false);
  keeping.register_attribute("calls", c10::IntType::get(), std::int64_t{0});
  keeping.define(
      "def forward(self, x):\n    self.calls += 1\n    return torch.linear(x, self.weight) * self.calls\n");
  const auto file = ModelFile(keeping);
  CHECK(holds(refusal(options_for(file.path, {4}, 3)), "forward assigns self.calls"));
}

TEST_CASE("a lone last sample joins the batch before it, for batch norm's sake") {
  const auto trainer = script_trainer(normed(0), {4}, 3);
  auto settings = TrainingSettings();
  settings.batch_size = 8;
  for (const auto& [samples, steps] :
       std::vector<std::pair<std::size_t, std::uint64_t>>{{17, 2}, {16, 2}, {18, 3}}) {
    CAPTURE(samples);
    const auto job = trainer->train(settings, initial(*trainer), blobs({4}, 3, samples), 11).value();
    run(*job);
    CHECK(job->report().steps == steps);
    CHECK(job->report().samples == samples);
  }
}

TEST_CASE("outputs of another type are evaluated, and a batch dimension that is lost is noticed") {
  auto module = Module("Wide");
  module.register_parameter("weight", trained(at::rand({2, 4})), false);
  module.define("def forward(self, x):\n    return torch.linear(x, self.weight).double()\n");
  const auto trainer = script_trainer(module, {4}, 2);
  CHECK(evaluate(*trainer, initial(*trainer), blobs({4}, 2, 20)).metrics.contains("auroc"));
}

TEST_CASE("a lost batch dimension is noticed") {
  auto module = Module("Squeezed");
  module.register_parameter("weight", trained(at::rand({3, 4})), false);
  module.define("def forward(self, x):\n    return torch.linear(x, self.weight).squeeze()\n");
  const auto file = ModelFile(module);
  CHECK(holds(refusal(options_for(file.path, {4}, 3)), "answers 1 sample with outputs of shape [3]"));
}
