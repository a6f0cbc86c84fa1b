// What a node trains and evaluates with: data and a trainer that fit the configuration.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "actors/training_run.hpp"
#include "learning/data/partition.hpp"
#include "learning/data/schema.hpp"
#include "learning/data/standardisation.hpp"
#include "learning/trainer.hpp"
#include "runtime/config.hpp"

namespace fl {

/// Data and model of one configuration. Without data (echo, or a server that does not evaluate) `data` is
/// empty.
struct Workbench {
  TrainTest data;
  TrainerPtr trainer;
  std::string model_name = {};  ///< see model_identity
  SchemaPtr schema = nullptr;   ///< of own data (learning/data/own_data.hpp); else null
  Standardisation standardisation =
      {};                      ///< that `data` has gone through; of a network's server, see `survey`
  SurveyPtr survey = nullptr;  ///< asks the clients of a network; null where there is nothing to ask

  /// How the inputs are standardised, as far as it is known.
  Standardisation known_standardisation() const;
};

/// Samples to evaluate on, as the model takes them; null: there are none.
std::shared_ptr<const DataView> test_data(const Workbench& bench);

/// For an aggregator: goes on with the data that a run in `folder` began with, or notes what it begins with
/// there. Fails with `run_folder_refused` where the data look different now, or as reading and writing do.
Result<void> keep_data(Workbench& bench, const Config& config, const std::filesystem::path& folder);

/// The model alone, without data; `schema` of a run on own data, or null. Fails with `bad_config`.
Result<TrainerPtr> make_model(const Config& config, const DataSchema* schema = nullptr);

/// For a server: held-out data too, unless the clients evaluate. Fails with `bad_data` or `bad_config`.
Result<Workbench> make_server_workbench(const Config& config, bool with_training_data);

/// Version 0, made when it is asked for and shared as long as somebody has it. Thread-safe.
class InitialModel {
 public:
  explicit InitialModel(TrainerPtr trainer) : trainer_(std::move(trainer)) {}
  ParametersPtr of(std::uint64_t seed);

 private:
  TrainerPtr trainer_;
  std::mutex mutex_;
  std::weak_ptr<const Parameters> model_;
  std::uint64_t seed_ = 0;
};

/// For the clients of a process, by the welcome's terms: the model the server names, and all of the data.
Result<Workbench> make_client_workbench(const Config& config, const Welcome& welcome);

/// One client's part of that.
Result<TrainingMeans> make_client_means(const Config& config, const Workbench& bench, const Welcome& welcome);

/// Every client's rows of `data`, as the data say or the configuration divides them. Fails with `bad_data` or
/// `bad_config`.
Result<Partition> divide(const TrainTest& data, const PartitionSettings& settings, std::uint32_t clients,
                         std::uint64_t seed);

/// One client's part of shared data, with the welcome's share kept for validation.
TrainingMeans means_of(const Workbench& workbench, std::vector<std::uint32_t> rows, const Welcome& welcome);

}  // namespace fl
