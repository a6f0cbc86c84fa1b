#include "runtime/workbench.hpp"

#include <spdlog/spdlog.h>

#include <utility>

#include "learning/data/own_data.hpp"
#include "learning/random.hpp"
#include "runtime/data_file.hpp"
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

void describe_samples(const DataSchema& schema, TrainerOptions& trainer) {
  trainer.sample_shape = schema.shape;
  trainer.classes = schema.class_count();
}

}  // namespace

Result<TrainerPtr> make_model(const Config& config, const DataSchema* schema) {
  auto options = config.trainer;
  describe_samples(schema != nullptr ? *schema : shared_schema(config.data), options);
  return make_trainer(config, options);
}

Standardisation Workbench::known_standardisation() const {
  return survey ? survey->known().value_or(Standardisation()) : standardisation;
}

std::shared_ptr<const DataView> test_data(const Workbench& bench) {
  if (!bench.data.test) return nullptr;
  const auto all = DataView::all(bench.data.test);
  // Those of a simulation have gone through it already.
  return std::make_shared<const DataView>(bench.survey ? standardised(all, bench.known_standardisation())
                                                       : all);
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

namespace {

/// A simulation has all clients' inputs at hand, and combines what each would say of its own.
Result<void> standardise_all(const Config& config, Workbench& bench) {
  const auto numbers = standardised_inputs(*bench.schema);
  if (numbers.empty()) return {};
  const auto partition = divide(bench.data, config.partition, config.clients.count, config.seed);
  if (!partition) return tl::unexpected(partition.error());
  auto welcome = Welcome();
  welcome.seed = config.seed;
  welcome.validation_fraction = config.validation_fraction;
  auto sum = Moments();
  for (const auto& rows : partition->rows) {
    // Nobody's rows are to be kept from anybody here.
    const auto moments = moments_of(*means_of(bench, rows, welcome).data, numbers, 1);
    if (sum.empty()) sum.resize(moments.size());
    add_moments(sum, moments);
    ++welcome.client;
  }
  bench.standardisation = standardisation_of(sum);
  for (auto* half : {&bench.data.train, &bench.data.test})
    if (*half) *half = standardised(DataView::all(*half), bench.standardisation).dataset;
  return {};
}

/// Own data of a server. Only a simulation has its clients'.
Result<void> load_own(const Config& config, bool simulates, Workbench& bench) {
  auto schema = find_schema(config.data, is_classification(config.trainer.loss));
  if (!schema) return tl::unexpected(schema.error());
  bench.schema = std::make_shared<const DataSchema>(std::move(*schema));
  auto request = OwnDataRequest();
  request.train = simulates;
  request.test = !config.evaluation.on_clients;
  request.test_from_train = simulates;
  if (simulates) request.clients = config.clients.count;
  request.seed = config.seed;
  if (!request.train && !request.test) return {};
  auto data = load_own_data(config.data, *bench.schema, request);
  if (!data) return tl::unexpected(data.error());
  if (request.test && !data->test)
    return fail(
        ec::bad_config,
        "there is nothing to evaluate on: give the aggregator samples of its own in data.test_file, or "
        "let the clients evaluate on a part of theirs (evaluate.where = \"clients\")");
  bench.data = std::move(*data);
  return simulates ? standardise_all(config, bench) : Result<void>();
}

}  // namespace

Result<Workbench> make_server_workbench(const Config& config, bool with_training_data) {
  auto bench = Workbench();
  auto options = config.trainer;
  describe_samples(shared_schema(config.data), options);
  if (options.backend != "echo" && is_own_data(config.data.name)) {
    if (auto ok = load_own(config, with_training_data, bench); !ok) return tl::unexpected(ok.error());
    describe_samples(*bench.schema, options);
  } else if (options.backend != "echo" && (with_training_data || !config.evaluation.on_clients)) {
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

namespace {

/// Inputs of which no client had enough values to say anything.
void warn_of_unknown(const DataSchema& schema, const Standardisation& found) {
  const auto numbers = standardised_inputs(schema);
  const auto names = input_names(schema);
  auto unknown = std::vector<std::string>();
  for (auto i = std::size_t{0}; i < numbers.size(); ++i)
    if (numbers[i] && found[2 * i] == 0 && found[2 * i + 1] == 1)
      unknown.push_back(i < names.size() ? names[i] : std::to_string(i));
  if (!unknown.empty())
    spdlog::warn("no client has {} known values or more of {}, which stay as they are", kMinimumValues,
                 in_quotes(unknown));
}

}  // namespace

Result<void> keep_data(Workbench& bench, const Config& config, const std::filesystem::path& folder) {
  if (!bench.schema) return {};
  auto stored = read_data_file(folder);
  if (!stored) return tl::unexpected(stored.error());
  if (*stored && (*stored)->schema != *bench.schema)
    return fail(ec::run_folder_refused,
                "the data have other columns, shapes or classes than when the run in " + folder.string() +
                    " began (data.json there says which); begin a new run, or bring the data back");
  const auto asks = !bench.data.train && !standardised_inputs(*bench.schema).empty();
  if (!asks && *stored && (*stored)->standardisation != bench.standardisation)
    return fail(ec::run_folder_refused,
                "the rows are others than when the run in " + folder.string() +
                    " began, and would be standardised in another way; begin a new run, or bring them back");
  if (!asks) return write_data_file(folder, {*bench.schema, bench.standardisation});
  if (!*stored)
    if (auto ok = write_data_file(folder, {*bench.schema, {}}); !ok) return ok;
  const auto minimum = config.scheduler.min_clients;
  bench.survey = std::make_shared<Survey>(
      standardised_inputs(*bench.schema), minimum > 0 ? minimum : config.clients.count,
      *stored ? (*stored)->standardisation : Standardisation(),
      [folder, schema = bench.schema](const Standardisation& found) {
        auto written = write_data_file(folder, {*schema, found});
        if (!written) return written;
        spdlog::info("the clients' inputs are standardised from now on (data.json)");
        warn_of_unknown(*schema, found);
        return written;
      });
  return {};
}

Result<Partition> divide(const TrainTest& data, const PartitionSettings& settings, std::uint32_t clients,
                         std::uint64_t seed) {
  if (!data.owners.empty() && data.owners.size() != clients)
    return fail(ec::bad_config, "the data have parts of " + std::to_string(data.owners.size()) +
                                    " clients, but clients.count is " + std::to_string(clients));
  if (!data.owners.empty()) return partition_of(*data.train, data.owners);
  return make_partition(*data.train, settings, clients, stream_seed(seed, "partition"));
}

TrainingMeans means_of(const Workbench& workbench, std::vector<std::uint32_t> rows, const Welcome& welcome) {
  auto train = DataView{workbench.data.train, std::move(rows)};
  auto validation = split_validation(train, welcome.validation_fraction,
                                     stream_seed(welcome.seed, "validation", welcome.client));
  auto means = TrainingMeans{workbench.trainer, std::make_shared<const DataView>(std::move(train)),
                             std::make_shared<const DataView>(std::move(validation))};
  if (workbench.schema && workbench.standardisation.empty())
    if (const auto numbers = standardised_inputs(*workbench.schema); !numbers.empty())
      means.moments = moments_of(*means.data, numbers);
  return means;
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

namespace {

/// What the server's schema asks for, of this client's own file or folder.
Result<void> load_own(const Config& config, const Welcome& welcome, Workbench& bench) {
  auto schema = parse_schema(welcome.data_schema);
  if (!schema) return fail(ec::bad_data, "what the aggregator says: " + schema.error().text);
  if (schema->kind != config.data.name)
    return fail(ec::bad_config, "the federation trains on data of its clients, data.name = \"" +
                                    schema->kind + "\", and this client has data.name = \"" +
                                    config.data.name + "\"; set data.name and data.file");
  if (schema->standardise && !config.data.standardise)
    return fail(
        ec::bad_config,
        "the federation standardises inputs together, for which a client says their counts, means and "
        "deviations, and this client has data.standardise = false; agree with the aggregator's owner");
  if (config.client_count > 1 && !config.data_part)
    return fail(ec::bad_config,
                "client.count = " + std::to_string(config.client_count) +
                    " clients would have the same data; start a process with its own data.file "
                    "for each");
  bench.schema = std::make_shared<const DataSchema>(std::move(*schema));
  auto request = OwnDataRequest();
  request.test = false;
  if (config.data_part) request.clients = config.data_part->count;
  auto data = load_own_data(config.data, *bench.schema, request);
  if (!data) return tl::unexpected(data.error());
  bench.data = std::move(*data);
  return {};
}

Result<void> load_shared(const Config& config, const Welcome& welcome, Workbench& bench) {
  if (is_own_data(config.data.name))
    return fail(ec::bad_config, "this client has data of its own, data.name = \"" + config.data.name +
                                    "\", and the aggregator does not; set data.name to the aggregator's");
  auto data = load_dataset(config.data, welcome.seed, welcome.clients_count);
  if (!data) return tl::unexpected(data.error());
  bench.data = std::move(*data);
  return {};
}

}  // namespace

Result<Workbench> make_client_workbench(const Config& config, const Welcome& welcome) {
  auto bench = Workbench();
  auto options = config.trainer;
  if (auto ok = choose_model(options, welcome); !ok) return tl::unexpected(ok.error());
  if (options.backend != "echo") {
    auto loaded =
        welcome.data_schema.empty() ? load_shared(config, welcome, bench) : load_own(config, welcome, bench);
    if (!loaded) return tl::unexpected(loaded.error());
    options.sample_shape = bench.data.train->sample_shape();
    options.classes = bench.data.train->classes();
  }
  auto trainer = make_trainer(config, options);
  if (!trainer) return tl::unexpected(trainer.error());
  bench.trainer = std::move(*trainer);
  return bench;
}

namespace {

/// Own data are all the client's, unless it says otherwise.
std::vector<std::uint32_t> own_rows(const TrainTest& data) {
  if (data.owners.empty()) return DataView::all(data.train).rows;
  auto rows = std::vector<std::uint32_t>();
  for (const auto& part : data.owners) rows.insert(rows.end(), part.begin(), part.end());
  return rows;
}

}  // namespace

Result<TrainingMeans> make_client_means(const Config& config, const Workbench& bench,
                                        const Welcome& welcome) {
  if (!bench.data.train) {
    auto means = TrainingMeans{bench.trainer, nullptr, nullptr};
    // Without data, the part that it would have says who its replicas are.
    if (config.data_part)
      means.fingerprint = stream_seed(config.data_part->count, "data.part", config.data_part->index) | 1;
    return means;
  }
  if (bench.schema && !config.data_part) {
    auto means = means_of(bench, own_rows(bench.data), welcome);
    // Who could guess the rows could tell by their hash; nobody else has the same.
    means.fingerprint = stream_seed(welcome.seed, "own data", welcome.client) | 1;
    spdlog::info("training on {} samples of {}", means.data->size(), config.data.file.string());
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
