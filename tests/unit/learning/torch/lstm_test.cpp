// The model lstm_char, beside PyTorch's own modules.
#include <torch/script.h>
#include <torch/torch.h>
// torch first: its CHECK would replace doctest's.
#undef CHECK
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "fixtures.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace fl;
using namespace fl::torch_tests;

namespace {

constexpr std::int64_t kLength = 6;
constexpr std::uint32_t kVocabulary = 5;

std::shared_ptr<const DataView> view_of(std::vector<float> inputs, std::vector<std::int64_t> labels) {
  auto dataset = std::make_shared<const Dataset>(std::vector<std::int64_t>{kLength}, kVocabulary,
                                                 std::move(inputs), std::move(labels));
  return std::make_shared<const DataView>(DataView::all(std::move(dataset)));
}

/// Windows of a text that repeats itself, each with the character behind it.
std::shared_ptr<const DataView> repetitive_text(std::size_t count) {
  const auto text = std::vector<std::int64_t>{0, 1, 0, 2, 4, 3, 1, 2};
  auto inputs = std::vector<float>();
  auto labels = std::vector<std::int64_t>();
  for (auto begin = std::size_t{0}; begin < count; ++begin) {
    for (auto i = std::size_t{0}; i < kLength; ++i)
      inputs.push_back(static_cast<float>(text[(begin + i) % text.size()]));
    labels.push_back(text[(begin + kLength) % text.size()]);
  }
  return view_of(std::move(inputs), std::move(labels));
}

TrainerPtr small_trainer() {
  return trainer_of("lstm_char", {kLength}, kVocabulary);
}

/// The same network of PyTorch's modules, made in the order of the layout.
struct Reference {
  explicit Reference(std::uint64_t seed) {
    torch::manual_seed(seed);
    embedding = torch::nn::Embedding(kVocabulary, 8);
    lstm = torch::nn::LSTM(torch::nn::LSTMOptions(8, 256).num_layers(2).batch_first(true));
    fc = torch::nn::Linear(256, kVocabulary);
  }

  std::vector<at::Tensor> parameters() const {
    auto all = embedding->parameters();
    for (const auto& part : {lstm->parameters(), fc->parameters()})
      all.insert(all.end(), part.begin(), part.end());
    return all;
  }

  at::Tensor forward(const at::Tensor& indices) {
    return fc(std::get<0>(lstm(embedding(indices))).select(1, -1));
  }

  torch::nn::Embedding embedding = nullptr;
  torch::nn::LSTM lstm = nullptr;
  torch::nn::Linear fc = nullptr;
};

std::string refusal(std::vector<std::int64_t> shape, LossName loss, const std::string& precision) {
  auto options = TrainerOptions();
  options.model = "lstm_char";
  options.device = "cpu";
  options.sample_shape = std::move(shape);
  options.classes = loss == LossName::mse ? 0 : 2;
  options.loss = loss;
  options.precision = precision;
  const auto trainer = make_torch_trainer(options);
  REQUIRE_FALSE(trainer);
  CHECK(trainer.error().code == ec::bad_config);
  return trainer.error().text;
}

}  // namespace

TEST_CASE("lstm_char has PyTorch's names and shapes, for texts of any length") {
  const auto layout = trainer_of("lstm_char", {80}, 98)->layout();
  CHECK(layout->size() == 824'690);
  using Entry = std::pair<std::string, std::vector<std::int64_t>>;
  auto entries = std::vector<Entry>();
  for (const auto& entry : layout->entries()) entries.emplace_back(entry.name, entry.shape);
  CHECK(entries == std::vector<Entry>{{"embedding.weight", {98, 8}},
                                      {"lstm.weight_ih_l0", {1024, 8}},
                                      {"lstm.weight_hh_l0", {1024, 256}},
                                      {"lstm.bias_ih_l0", {1024}},
                                      {"lstm.bias_hh_l0", {1024}},
                                      {"lstm.weight_ih_l1", {1024, 256}},
                                      {"lstm.weight_hh_l1", {1024, 256}},
                                      {"lstm.bias_ih_l1", {1024}},
                                      {"lstm.bias_hh_l1", {1024}},
                                      {"fc.weight", {98, 256}},
                                      {"fc.bias", {98}}});
  CHECK(*trainer_of("lstm_char", {1}, 98)->layout() == *layout);
}

TEST_CASE("lstm_char begins as PyTorch's modules do with the same seed") {
  const auto trainer = small_trainer();
  const auto model = trainer->initial_parameters(3);
  CHECK(model.sha256() == trainer->initial_parameters(3).sha256());
  CHECK(model.sha256() != trainer->initial_parameters(4).sha256());
  const auto expected = Reference(3).parameters();
  const auto& entries = trainer->layout()->entries();
  REQUIRE(expected.size() == entries.size());
  for (auto i = std::size_t{0}; i < entries.size(); ++i) {
    CAPTURE(entries[i].name);
    const auto values = model.values_of(entries[i]);
    const auto made = at::from_blob(const_cast<float*>(values.data()), entries[i].shape, at::kFloat);
    CHECK(at::allclose(made, expected[i], 1e-5, 1e-7));
  }
}

TEST_CASE("lstm_char computes what PyTorch's modules do, and so does its export, of floats and integers") {
  const auto no_grad = at::NoGradGuard();
  const auto folder = fl::test::TemporaryFolder();
  const auto trainer = small_trainer();
  const auto parameters = initial(*trainer, 3);
  const auto data = repetitive_text(8);
  auto x = at::empty({8, kLength});
  auto y = at::empty({8}, at::kLong);
  data->dataset->gather(data->rows, {x.data_ptr<float>(), static_cast<std::size_t>(x.numel())},
                        {y.data_ptr<std::int64_t>(), 8});
  const auto expected = Reference(3).forward(x.to(at::kLong));
  CHECK(evaluate(*trainer, parameters, data).loss ==
        doctest::Approx(at::cross_entropy_loss(expected, y).item<double>()).epsilon(1e-5));

  REQUIRE(trainer->export_torchscript(*parameters, folder / "model.pt", {}));
  auto module = torch::jit::load((folder / "model.pt").string());
  for (const auto type : {at::kFloat, at::kInt, at::kLong})
    CHECK(at::allclose(module.forward({x.to(type)}).toTensor(), expected, 1e-5, 1e-6));
}

TEST_CASE("lstm_char learns: every tensor moves, and a repetitive text is known soon") {
  const auto trainer = small_trainer();
  const auto base = initial(*trainer);
  const auto data = repetitive_text(32);
  auto settings = TrainingSettings();
  settings.optimizer = "adam";
  settings.learning_rate = 0.01;
  settings.batch_size = 8;
  settings.epochs = 10;
  const auto delta = train(*trainer, settings, base, data);
  for (const auto& entry : trainer->layout()->entries()) {
    CAPTURE(entry.name);
    const auto values = std::span(delta).subspan(entry.offset, entry.size);
    CHECK(std::ranges::all_of(values, [](float value) { return std::isfinite(value); }));
    CHECK(std::ranges::any_of(values, [](float value) { return value != 0; }));
  }
  const auto before = evaluate(*trainer, base, data);
  const auto after = evaluate(*trainer, moved(*base, delta), data);
  CHECK(after.loss < 0.1 * before.loss);
  CHECK(after.accuracy == 1);
  CHECK(train(*trainer, settings, base, data, false, /*one_batch_slices=*/true) == delta);
}

TEST_CASE("lstm_char refuses data and settings that it cannot take") {
  constexpr auto kCrossEntropy = LossName::cross_entropy;
  CHECK(refusal({1, 28, 28}, kCrossEntropy, "fp32").find("[1, 28, 28]") != std::string::npos);
  CHECK(refusal({}, kCrossEntropy, "fp32").find("[length]") != std::string::npos);
  CHECK(refusal({0}, kCrossEntropy, "fp32").find("[length]") != std::string::npos);
  CHECK(refusal({80}, kCrossEntropy, "bf16").find("fp32") != std::string::npos);
  CHECK(refusal({80}, LossName::mse, "fp32").find("cross_entropy") != std::string::npos);
  CHECK(refusal({80}, LossName::bce, "fp32").find("cross_entropy") != std::string::npos);
}

TEST_CASE("inputs that are no indices of the vocabulary are bad data, with their row") {
  const auto trainer = small_trainer();
  const auto base = initial(*trainer);
  for (const auto wrong : {-1.0f, 5.0f, 0.5f, 1e30f, std::numeric_limits<float>::quiet_NaN()}) {
    CAPTURE(wrong);
    auto inputs = std::vector<float>(400 * kLength, 4.0f);
    inputs[300 * kLength + 2] = wrong;
    const auto data = view_of(inputs, std::vector<std::int64_t>(400, 1));
    const auto job = trainer->train({}, base, data, 1);
    REQUIRE_FALSE(job);
    CHECK(job.error().code == ec::bad_data);
    CHECK(job.error().text.find("row 300") != std::string::npos);
    CHECK(job.error().text.find("0 to 4") != std::string::npos);
    CHECK(trainer->evaluate(base, data).error().code == ec::bad_data);
  }
}
