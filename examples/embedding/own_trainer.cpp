// A trainer of one's own: fl_actor_node with a perceptron, in plain loops and without torch.
//
//   own_trainer --role simulate --set model.name=logistic --set data.name=synthetic_logistic --out runs/own
#include <algorithm>

#include "runtime/program.hpp"

namespace {

using DataPtr = std::shared_ptr<const fl::DataView>;
using Clock = std::chrono::steady_clock;

/// Calls `take(x, label)` with each sample, x being [features].
template <class Take>
void for_each_sample(const fl::DataView& data, Take take) {
  auto x = std::vector<float>(data.dataset->sample_size());
  auto label = std::int64_t{0};
  for (const auto& row : data.rows) {
    data.dataset->gather({&row, 1}, x, {&label, 1});
    take(x, label);
  }
}

/// The class k whose weights W_k · x say most; `weights` is W [classes, features].
std::int64_t guess(std::span<const float> weights, const std::vector<float>& x) {
  auto scores = std::vector<float>(weights.size() / x.size());
  for (std::size_t i = 0; i < weights.size(); ++i) scores[i / x.size()] += weights[i] * x[i % x.size()];
  return std::ranges::max_element(scores) - scores.begin();
}

/// Where the guess is wrong, the right class's weights move towards x, and the guessed one's away from it.
struct Training final : fl::TrainingJob {
  fl::TrainingSettings settings;
  fl::ParametersPtr base;
  DataPtr data;
  fl::Parameters model = base->clone();
  std::uint64_t epochs = 0, mistakes = 0;

  Training(fl::TrainingSettings s, fl::ParametersPtr b, DataPtr d)
      : settings(std::move(s)), base(std::move(b)), data(std::move(d)) {}

  /// An epoch a slice: where one takes long, look at the time after each batch instead.
  bool run_slice(Clock::time_point) override {
    const auto rate = static_cast<float>(settings.learning_rate);
    for_each_sample(*data, [&](const std::vector<float>& x, std::int64_t label) {
      const auto guessed = guess(model.values(), x);
      if (guessed == label) return;
      ++mistakes;
      for (std::size_t j = 0; j < x.size(); ++j) {
        model.values()[label * x.size() + j] += rate * x[j];
        model.values()[guessed * x.size() + j] -= rate * x[j];
      }
    });
    return ++epochs >= settings.epochs;
  }

  /// What it calls its loss is the share of wrong guesses.
  fl::TrainingReport report() const override {
    const auto steps = epochs * data->size();
    return {data->size(), steps, static_cast<double>(mistakes) / static_cast<double>(steps), 0};
  }

  void write_update(std::span<float> out, bool whole_model) override {
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = model.values()[i] - (whole_model ? 0 : base->values()[i]);
  }
};

struct Evaluation final : fl::EvaluationJob {
  fl::ParametersPtr model;
  DataPtr data;
  double right = 0;

  Evaluation(fl::ParametersPtr m, DataPtr d) : model(std::move(m)), data(std::move(d)) {}

  bool run_slice(Clock::time_point) override {
    for_each_sample(*data, [&](const auto& x, auto label) { right += guess(model->values(), x) == label; });
    return true;
  }
  fl::Evaluation report() const override {
    const auto accuracy = right / static_cast<double>(data->size());
    return {.version = 0, .samples = data->size(), .loss = 1 - accuracy, .accuracy = accuracy};
  }
};

/// What the runtime asks of any trainer.
struct Perceptron final : fl::Trainer {
  fl::LayoutPtr shape;

  explicit Perceptron(const fl::TrainerOptions& options) {
    auto layout = fl::Layout();
    layout.add("weight", {options.classes, options.sample_shape.at(0)});
    shape = std::make_shared<const fl::Layout>(std::move(layout));
  }
  const fl::LayoutPtr& layout() const override { return shape; }
  fl::Parameters initial_parameters(std::uint64_t) const override { return fl::Parameters::zeros(shape); }
  fl::Result<std::unique_ptr<fl::TrainingJob>> train(const fl::TrainingSettings& settings,
                                                     fl::ParametersPtr base, DataPtr data,
                                                     std::uint64_t) const override {
    return std::make_unique<Training>(settings, std::move(base), std::move(data));
  }
  fl::Result<std::unique_ptr<fl::EvaluationJob>> evaluate(fl::ParametersPtr model,
                                                          DataPtr data) const override {
    return std::make_unique<Evaluation>(std::move(model), std::move(data));
  }
  fl::Result<void> export_torchscript(const fl::Parameters&, const std::filesystem::path&,
                                      const fl::ExportTerms&) const override {
    return fl::fail(fl::ec::unsupported_format, "there is no torch here");
  }
};

}  // namespace

int main(int argc, char** argv) {
  return fl::run_program(argc, argv, [](fl::Config& config) {
    config.own_trainer = [](const fl::TrainerOptions& options) -> fl::Result<fl::TrainerPtr> {
      return std::make_shared<const Perceptron>(options);
    };
  });
}
