#include "runtime/workbench.hpp"

#include <spdlog/spdlog.h>

#include <utility>

#include "learning/random.hpp"
#ifdef FL_WITH_TORCH
#include "learning/torch/torch_trainer.hpp"
#endif

namespace fl {

namespace {

Result<TrainerPtr> make_trainer(const Config& config, const TrainerOptions& options) {
  if (config.own_trainer) return config.own_trainer(options);
  if (options.backend == "echo") return make_echo_trainer(options);
#ifdef FL_WITH_TORCH
  return make_torch_trainer(options);
#else
  return fail(ec::bad_config,
              "train.backend: this program was built without torch; build with -DFL_WITH_TORCH=ON, or "
              "use train.backend = \"echo\" with model.name = \"flat\"");
#endif
}

/// What the samples of a dataset look like, without loading it.
void describe_samples(const DatasetOptions& data, TrainerOptions& trainer) {
  trainer.sample_shape = data.name == "synthetic_logistic" ? std::vector<std::int64_t>{60}
                                                           : std::vector<std::int64_t>{1, 28, 28};
  trainer.classes = 10;
}

}  // namespace

Result<TrainerPtr> make_model(const Config& config) {
  auto options = config.trainer;
  describe_samples(config.data, options);
  return make_trainer(config, options);
}

ParametersPtr InitialModel::of(std::uint64_t seed) {
  const auto lock = std::lock_guard(mutex_);
  auto model = model_.lock();
  if (model && seed_ == seed) return model;
  model = std::make_shared<const Parameters>(trainer_->initial_parameters(seed));
  model_ = model;
  seed_ = seed;
  return model;
}

Result<Workbench> make_server_workbench(const Config& config, bool with_training_data) {
  auto bench = Workbench();
  auto options = config.trainer;
  describe_samples(config.data, options);
  const auto needs_data = options.backend != "echo" && (with_training_data || !config.evaluation.on_clients);
  if (needs_data) {
    auto data = load_dataset(config.data, config.seed, config.clients.count);
    if (!data) return tl::unexpected(data.error());
    bench.data = std::move(*data);
    options.sample_shape = bench.data.train->sample_shape();
    options.classes = bench.data.train->classes();
  }
  auto trainer = make_trainer(config, options);
  if (!trainer) return tl::unexpected(trainer.error());
  bench.trainer = std::move(*trainer);
  auto name = model_identity(options);
  if (!name) return tl::unexpected(name.error());
  bench.model_name = std::move(*name);
  return bench;
}

Result<Partition> divide(const TrainTest& data, const PartitionSettings& settings, std::uint32_t clients,
                         std::uint64_t seed) {
  if (!data.owners.empty()) return partition_of(*data.train, data.owners);
  return make_partition(*data.train, settings, clients, stream_seed(seed, "partition"));
}

TrainingMeans means_of(const Workbench& workbench, std::vector<std::uint32_t> rows, const Welcome& welcome) {
  auto train = DataView{workbench.data.train, std::move(rows)};
  auto validation = split_validation(train, welcome.validation_fraction,
                                     stream_seed(welcome.seed, "validation", welcome.client));
  return {workbench.trainer, std::make_shared<const DataView>(std::move(train)),
          std::make_shared<const DataView>(std::move(validation))};
}

namespace {

/// The model that the server trains; a file is the client's own, and has to be the same.
Result<void> choose_model(TrainerOptions& options, const Welcome& welcome) {
  const auto loss = parse_loss(welcome.loss);
  if (!loss) return tl::unexpected(loss.error());
  options.loss = *loss;
  options.model_parameters = welcome.model_parameters;
  if (!welcome.model_name.starts_with(kScriptPrefix)) {
    options.model = welcome.model_name;
    options.model_file.clear();
    return {};
  }
  if (options.model_file.empty())
    return fail(ec::bad_config,
                "the aggregator trains a model from a file (model.file); give this client the same file: "
                "--set model.file=FILE");
  const auto own = model_identity(options);
  if (!own) return tl::unexpected(own.error());
  if (*own == welcome.model_name) return {};
  return fail(ec::bad_config, "model.file = \"" + options.model_file.string() +
                                  "\" is another file than the aggregator's (" + *own + ", and it has " +
                                  welcome.model_name + "); copy the aggregator's");
}

}  // namespace

Result<Workbench> make_client_workbench(const Config& config, const Welcome& welcome) {
  auto bench = Workbench();
  auto options = config.trainer;
  if (auto ok = choose_model(options, welcome); !ok) return tl::unexpected(ok.error());
  if (options.backend != "echo") {
    auto data = load_dataset(config.data, welcome.seed, welcome.clients_count);
    if (!data) return tl::unexpected(data.error());
    bench.data = std::move(*data);
    options.sample_shape = bench.data.train->sample_shape();
    options.classes = bench.data.train->classes();
  }
  auto trainer = make_trainer(config, options);
  if (!trainer) return tl::unexpected(trainer.error());
  bench.trainer = std::move(*trainer);
  return bench;
}

Result<TrainingMeans> make_client_means(const Config& config, const Workbench& bench,
                                        const Welcome& welcome) {
  if (!bench.data.train) {
    auto means = TrainingMeans{bench.trainer, nullptr, nullptr};
    // Without data, the part that it would have says who its replicas are.
    if (config.data_part)
      means.fingerprint = stream_seed(config.data_part->count, "data.part", config.data_part->index) | 1;
    return means;
  }
  // data.part overrides the place that the server gave.
  const auto parts = config.data_part ? config.data_part->count : welcome.clients_count;
  const auto part = config.data_part ? config.data_part->index : welcome.client;
  auto partition = divide(bench.data, welcome.partition, parts, welcome.seed);
  if (!partition) return tl::unexpected(partition.error());
  auto means = means_of(bench, std::move(partition->rows[part]), welcome);
  spdlog::info("training on {} samples, part {} of {} of {}", means.data->size(), part + 1, parts,
               config.data.name);
  return means;
}

}  // namespace fl
