// What the tests of the trainer share. No torch here: the trainer is tested as others use it.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "learning/random.hpp"
#include "learning/torch/torch_trainer.hpp"

namespace fl::torch_tests {

/// A trainer on the CPU; throws when it is refused.
inline TrainerPtr trainer_of(const std::string& model, std::vector<std::int64_t> sample_shape,
                             std::uint32_t classes = 10, const std::string& precision = "fp32") {
  auto options = TrainerOptions();
  options.model = model;
  options.sample_shape = std::move(sample_shape);
  options.classes = classes;
  options.precision = precision;
  options.device = "cpu";
  return make_torch_trainer(options).value();
}

/// Samples round one random centre a class: separable, so that any model learns them.
inline std::shared_ptr<const DataView> blobs(std::vector<std::int64_t> shape, std::uint32_t classes,
                                             std::size_t count, std::uint64_t seed = 7) {
  auto random = RandomStream(seed);
  auto sample_size = std::size_t{1};
  for (const auto extent : shape) sample_size *= static_cast<std::size_t>(extent);
  auto centres = std::vector<float>(sample_size * classes);
  for (auto& value : centres) value = static_cast<float>(random.normal());
  auto features = std::vector<float>();
  auto labels = std::vector<std::int64_t>();
  for (auto i = std::size_t{0}; i < count; ++i) {
    const auto label = random.below(classes);
    labels.push_back(static_cast<std::int64_t>(label));
    for (auto j = std::size_t{0}; j < sample_size; ++j) {
      features.push_back(centres[label * sample_size + j] + 0.5f * static_cast<float>(random.normal()));
    }
  }
  auto dataset =
      std::make_shared<const Dataset>(std::move(shape), classes, std::move(features), std::move(labels));
  return std::make_shared<const DataView>(DataView::all(std::move(dataset)));
}

inline ParametersPtr initial(const Trainer& trainer, std::uint64_t seed = 1) {
  return std::make_shared<const Parameters>(trainer.initial_parameters(seed));
}

/// Runs to the end in slices of one batch, or in one go; returns the number of slices.
inline int run(Job& job, bool one_batch_slices = false) {
  const auto far = std::chrono::steady_clock::now() + std::chrono::hours(1);
  auto slices = 1;
  while (!job.run_slice(one_batch_slices ? std::chrono::steady_clock::time_point() : far)) ++slices;
  return slices;
}

/// Trains to the end; the delta, or the whole model.
inline std::vector<float> train(const Trainer& trainer, const TrainingSettings& settings,
                                const ParametersPtr& base, const std::shared_ptr<const DataView>& data,
                                bool whole_model = false, bool one_batch_slices = false,
                                std::uint64_t stream_seed = 11) {
  const auto job = trainer.train(settings, base, data, stream_seed).value();
  run(*job, one_batch_slices);
  auto update = std::vector<float>(trainer.layout()->size());
  job->write_update(update, whole_model);
  return update;
}

inline Evaluation evaluate(const Trainer& trainer, const ParametersPtr& model,
                           const std::shared_ptr<const DataView>& data) {
  const auto job = trainer.evaluate(model, data).value();
  run(*job);
  return job->report();
}

/// base + delta.
inline ParametersPtr moved(const Parameters& base, const std::vector<float>& delta) {
  auto model = base.clone();
  for (auto i = std::size_t{0}; i < delta.size(); ++i) model.values()[i] += delta[i];
  return std::make_shared<const Parameters>(std::move(model));
}

}  // namespace fl::torch_tests
