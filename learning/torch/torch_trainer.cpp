#include "learning/torch/torch_trainer.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "learning/memory_policy.hpp"
#include "learning/torch/jobs.hpp"
#include "learning/torch/torch_export.hpp"

namespace fl {

namespace {

Result<void> check(const AugmentationSettings& settings) {
  const auto refuse = [](const std::string& key, double value, const std::string& range) {
    return fail(ec::bad_config,
                "data.augment_" + key + " must be in " + range + ", not " + std::to_string(value));
  };
  const auto in = [](double value, double most) { return value >= 0 && value <= most; };
  if (!in(settings.shift, 1)) return refuse("shift", settings.shift, "[0, 1]");
  if (!in(settings.rotation, 180)) return refuse("rotation", settings.rotation, "[0, 180]");
  if (!in(settings.scale, 1) || settings.scale == 1) return refuse("scale", settings.scale, "[0, 1)");
  if (!in(settings.elastic, 1)) return refuse("elastic", settings.elastic, "[0, 1]");
  if (!in(settings.erasing, 1)) return refuse("erasing", settings.erasing, "[0, 1]");
  return {};
}

Result<void> check(const BalanceSettings& settings) {
  if (settings.name != "none" && settings.name != "oversample" && settings.name != "augment")
    return fail(ec::bad_config,
                "data.balance '" + settings.name + "' is unknown; choose 'none', 'oversample' or 'augment'");
  if (!(settings.ratio > 0 && settings.ratio <= 1))
    return fail(ec::bad_config,
                "data.balance_ratio must be in (0, 1], not " + std::to_string(settings.ratio));
  if (!(settings.loss_beta >= 0 && settings.loss_beta < 1))
    return fail(ec::bad_config,
                "train.class_balance must be in [0, 1), not " + std::to_string(settings.loss_beta));
  return {};
}

Result<void> check(const TrainingSettings& settings) {
  const auto refuse = [](const std::string& text) { return fail(ec::bad_config, "train." + text); };
  if (settings.batch_size == 0) return refuse("batch_size must be at least 1");
  if (settings.steps == 0 && settings.epochs == 0)
    return refuse("epochs must be at least 1 when train.steps is 0");
  if (!(settings.learning_rate > 0) || !std::isfinite(settings.learning_rate)) {
    return refuse("learning_rate must be above 0, not " + std::to_string(settings.learning_rate));
  }
  if (!(settings.momentum >= 0 && settings.momentum < 1)) {
    return refuse("momentum must be in [0, 1), not " + std::to_string(settings.momentum));
  }
  if (settings.nesterov && settings.momentum == 0) return refuse("nesterov needs train.momentum above 0");
  if (!(settings.weight_decay >= 0) || !std::isfinite(settings.weight_decay)) {
    return refuse("weight_decay must be 0 or more, not " + std::to_string(settings.weight_decay));
  }
  if (!(settings.proximal_mu >= 0) || !std::isfinite(settings.proximal_mu)) {
    return refuse("proximal_mu must be 0 or more, not " + std::to_string(settings.proximal_mu));
  }
  if (settings.optimizer != "sgd" && settings.optimizer != "adam") {
    return refuse("optimizer '" + settings.optimizer + "' is unknown; choose 'sgd' or 'adam'");
  }
  if (settings.optimizer == "adam" && settings.momentum > 0)
    return refuse("momentum belongs to 'sgd', not to 'adam'");
  return check(settings.augmentation).and_then([&] { return check(settings.balance); });
}

/// The settings come from the aggregator; augmentation is for images.
Result<void> check_data_settings(const TrainingSettings& settings, const Network& network, LossName loss) {
  const auto by_label = settings.balance.adds_samples() || settings.balance.loss_beta > 0;
  if (by_label && !is_classification(loss))
    return fail(ec::bad_config, "data.balance and train.class_balance are for labels; train.loss = \"" +
                                    to_string(loss) + "\" has numbers as targets");
  const auto augments = settings.augments();
  if (!augments || network.sample_shape().size() == 3) return {};
  return fail(ec::bad_config,
              "data.augment and data.balance = \"augment\" are for images, [channels, height, "
              "width]; these samples have " +
                  std::to_string(network.sample_shape().size()) + " dimensions");
}

Result<void> check(const Network& network, const ParametersPtr& model) {
  if (model && model->layout() && *model->layout() == *network.layout()) return {};
  return fail(ec::layout_mismatch, "the parameters given have another layout than the trainer's model (" +
                                       std::to_string(network.layout()->size()) + " floats)");
}

Result<void> check(const Network& network, LossName loss, const std::shared_ptr<const DataView>& data) {
  if (!data || !data->dataset || data->size() == 0) return fail(ec::bad_data, "there are no samples");
  const auto& dataset = *data->dataset;
  if (dataset.sample_shape() != network.sample_shape()) {
    return fail(ec::bad_data, "the samples have another shape than the model takes");
  }
  if (dataset.has_labels() != is_classification(loss))
    return fail(ec::bad_data, "the data have " +
                                  std::string(dataset.has_labels() ? "labels" : "numbers as targets") +
                                  ", which do not suit train.loss = \"" + to_string(loss) + "\"");
  const auto classes = std::max<std::int64_t>(network.outputs(), 2);
  for (const auto row : data->rows) {
    if (row >= dataset.size()) {
      return fail(ec::bad_data, "row " + std::to_string(row) + " is beyond the dataset's " +
                                    std::to_string(dataset.size()) + " samples");
    }
    if (!dataset.has_labels()) continue;
    const auto label = dataset.label(row);
    if (label < 0 || label >= classes) {
      return fail(ec::bad_data, "row " + std::to_string(row) + " has the label " + std::to_string(label) +
                                    ", and the model has classes 0 to " + std::to_string(classes - 1));
    }
  }
  return check_indices(network, *data);
}

class TorchTrainer final : public Trainer {
 public:
  TorchTrainer(NetworkPtr network, at::Device device, at::ScalarType precision, const TrainerOptions& options)
      : pool_(std::make_shared<WorkspacePool>(std::move(network), device, precision)),
        threads_(options.threads),
        loss_(options.loss) {}

  const LayoutPtr& layout() const override { return pool_->network().layout(); }

  Parameters initial_parameters(std::uint64_t seed) const override {
    return pool_->network().initial_parameters(seed);
  }

  Result<std::unique_ptr<TrainingJob>> train(const TrainingSettings& settings, ParametersPtr base,
                                             std::shared_ptr<const DataView> data,
                                             std::uint64_t stream_seed) const override {
    auto checked = check(settings)
                       .and_then([&] { return check_data_settings(settings, pool_->network(), loss_); })
                       .and_then([&] { return check(pool_->network(), base); })
                       .and_then([&] { return check(pool_->network(), loss_, data); });
    if (!checked) return tl::unexpected(checked.error());
    return std::make_unique<TorchTrainingJob>(pool_, threads_, loss_, settings, std::move(base),
                                              std::move(data), stream_seed);
  }

  Result<std::unique_ptr<EvaluationJob>> evaluate(ParametersPtr model,
                                                  std::shared_ptr<const DataView> data) const override {
    auto checked =
        check(pool_->network(), model).and_then([&] { return check(pool_->network(), loss_, data); });
    if (!checked) return tl::unexpected(checked.error());
    return std::make_unique<TorchEvaluationJob>(pool_, threads_, loss_, std::move(model), std::move(data));
  }

  Result<void> export_torchscript(const Parameters& model, const std::filesystem::path& file,
                                  const ExportTerms& terms) const override {
    if (!model.layout() || *model.layout() != *layout()) {
      return fail(ec::layout_mismatch, "the parameters given have another layout than the trainer's model");
    }
    return write_torchscript(pool_->network(), model, file, terms);
  }

 private:
  std::shared_ptr<WorkspacePool> pool_;
  std::uint32_t threads_;
  LossName loss_;
};

Result<at::Device> device_named(const std::string& name) {
  const auto has_cuda = torch::cuda::is_available();
  if (name == "cpu" || (name == "auto" && !has_cuda)) return at::Device(at::kCPU);
  if (name == "auto") return at::Device(at::kCUDA);
  if (name != "cuda") {
    return fail(ec::bad_config, "train.device '" + name + "' is unknown; choose 'auto', 'cpu' or 'cuda'");
  }
  if (!has_cuda)
    return fail(ec::bad_config, "train.device is 'cuda', and torch finds no CUDA device; choose 'auto'");
  return at::Device(at::kCUDA);
}

Result<at::ScalarType> precision_named(const std::string& name) {
  if (name == "fp32") return at::kFloat;
  if (name == "bf16") return at::kBFloat16;
  return fail(ec::bad_config, "train.precision '" + name + "' is unknown; choose 'fp32' or 'bf16'");
}

}  // namespace

Result<TrainerPtr> make_torch_trainer(const TrainerOptions& options) {
  if (options.threads == 0) return fail(ec::bad_config, "train.threads must be at least 1");
  auto network = options.model_file.empty() ? make_network(options) : load_network(options);
  if (!network) return tl::unexpected(network.error());
  const auto device = device_named(options.device);
  if (!device) return tl::unexpected(device.error());
  const auto precision = precision_named(options.precision);
  if (!precision) return tl::unexpected(precision.error());
  keep_freed_memory();
  return std::make_shared<TorchTrainer>(std::move(*network), *device, *precision, options);
}

}  // namespace fl
