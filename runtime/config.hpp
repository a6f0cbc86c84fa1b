// All settings of a node. Where they come from: the defaults, then a TOML file, then the command line.
//
// One table of keys (config_schema.hpp) is behind everything here: reading, checking, the resolved
// config.toml, configs/default.toml and docs/configuration.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/conduct.hpp"
#include "actors/options.hpp"
#include "learning/aggregation/server_optimizer.hpp"
#include "learning/aggregation/strategy.hpp"
#include "learning/data/dataset.hpp"
#include "learning/downloads.hpp"
#include "learning/trainer.hpp"
#include "messages/errors.hpp"
#include "messages/training.hpp"
#include "messages/types.hpp"
#include "runtime/logging.hpp"

namespace fl {

/// One of N equal parts of the data: `data.part`.
struct DataPart {
  std::uint32_t index = 0;  ///< in [0, count)
  std::uint32_t count = 1;
};

/// Who takes part, and what their devices are like; see client_profiles.hpp.
struct ClientsOptions {
  std::uint32_t count = 3;
  std::string speed = "uniform";   ///< "uniform" | "lognormal" | "pareto" | "list"
  std::vector<double> speed_list;  ///< for "list": one a client, > 0
  double speed_sigma = 1;          ///< for "lognormal": standard deviation of the logarithm, ≥ 0
  double speed_pareto = 1.5;       ///< for "pareto": the shape, > 0: smaller is more uneven
  double up_mbit_s = 0;            ///< 0: no limit
  double down_mbit_s = 0;
  double network_sigma = 0;  ///< standard deviation of the logarithm of both, ≥ 0
  double latency_ms = 0;
  std::string availability = "always";  ///< "always" | "diurnal"
  double online_share = 0.5;            ///< of the day, for "diurnal", in (0, 1]
  double day_s = 86'400;
  double join_spread_s = 0;       ///< each comes at a time drawn from [0, this)
  std::filesystem::path trace;    ///< CSV; empty: none
  double dropout = 0;             ///< probability that a client gives a task up, in [0, 1)
  double sample_seconds = 0.001;  ///< on the virtual clock, that a client of speed 1 computes for a sample
};

/// How a run is kept.
struct StoreOptions {
  std::string durability = "auto";   ///< "snapshot" | "update"; "auto" until the role is known
  std::uint64_t snapshot_every = 1;  ///< versions, ≥ 1
  std::uint32_t keep_snapshots = 3;  ///< ≥ 1
  bool keep_updates = false;
  std::uint64_t max_bytes = 0;  ///< of kept updates; 0: no limit
};

/// How nodes reach each other.
struct NetOptions {
  std::uint16_t port = 4242;
  std::string bind = "127.0.0.1";
  bool allow_plaintext = false;
  std::uint64_t max_model_bytes = std::uint64_t{16} << 30;
  Seconds heartbeat{2};                               ///< between two signs of life on an idle connection
  Seconds connection_timeout{30};                     ///< silence after which a peer counts as gone
  std::chrono::milliseconds request_timeout{60'000};  ///< for one answer
  Seconds reconnect{0};                               ///< how long a client keeps trying; 0: for ever
  std::chrono::milliseconds backoff_min{200};
  std::chrono::milliseconds backoff_max{15'000};
  std::filesystem::path tls_certificate;
  std::filesystem::path tls_key;
  std::filesystem::path tls_ca;
  std::filesystem::path identity;
  std::filesystem::path allow_list;
  std::string aggregator_key;  ///< PublicKey::text; empty: a client talks to any aggregator

  /// Certificate, key and CA are given; they go together.
  bool tls() const { return !tls_certificate.empty(); }
};

struct SimulateOptions {
  std::string clock = "real";  ///< "real" | "virtual"
  std::uint32_t workers = 0;   ///< threads that train; 0: one a core
};

/// The page about the run; see docs/dashboard.md.
struct DashboardOptions {
  bool enabled = false;
  std::string bind = "127.0.0.1";
  std::uint16_t port = 8642;  ///< 0: any free one
  std::string token;          ///< who asks has to know it; empty: only this machine may ask
};

/// The settings of one node, resolved: no value is left open.
struct Config {
  std::uint64_t seed = 1;
  GoalOptions goals;
  TrainerOptions trainer;    ///< without sample_shape and classes, which the data decide
  bool export_int8 = false;  ///< also write the last version with weights in 8 bits
  DatasetOptions data;
  PartitionSettings partition;
  std::optional<DataPart> data_part;  ///< none: the client's index decides
  ClientsOptions clients;
  TrainingSettings training;
  StrategyOptions strategy;
  ServerOptimizerOptions server_optimizer;
  UploadSettings upload;
  Version warmup_versions = 0;  ///< of upload.codec
  std::string download_codec = "none";
  DownloadOptions downloads;  ///< what download.codec says, and download.window
  std::string prune_schedule = "gradual";
  SchedulerOptions scheduler;
  ConductOptions conduct{.max_requests_per_second = 20'000};
  EvaluationOptions evaluation;
  double validation_fraction =
      0;  ///< of each client's data kept to evaluate on; 0 unless evaluation.on_clients
  StoreOptions store;
  NetOptions net;
  SimulateOptions simulate;
  DashboardOptions dashboard;
  std::string client_name;               ///< of a client; empty: made from the host's name
  std::uint32_t client_count = 1;        ///< clients in one process of role client
  std::string client_spool = "auto";     ///< "auto" | "always" | "never"
  std::vector<std::string> chaos_crash;  ///< "ACTOR@MOMENT=N"
  SupervisionOptions supervision;
  LogOptions log;
  bool show_progress = true;
  bool tensorboard = false;  ///< of the server: also writes event files for TensorBoard

  /// Of a program that embeds this one (docs/embedding.md): makes the trainer instead of train.backend and
  /// model.name, given what the data look like. Empty: as they say.
  std::function<Result<TrainerPtr>(const TrainerOptions&)> own_trainer;

  /// What was given where the default depends on other keys; none: the default. The values in use are in
  /// `strategy` and `validation_fraction`.
  struct Given {
    std::optional<double> staleness_a;
    std::optional<double> server_learning_rate;
    double validation_fraction = 0.1;
    std::string evaluate_where = "server";
    std::string data_part;
  } given;

  /// A client of this node, before it has a name, a place and a speed.
  ClientOptions client_options() const;
};

/// A setting from the command line.
struct Setting {
  std::string key;
  std::string value;   ///< read by the key's declared type: strings need no quotes, lists are [a, b] or a,b
  std::string origin;  ///< how the user wrote it, for messages: "--set run.seed=2", "--seed 2"
};

/// Where the settings of a node come from; later ones win over earlier.
struct ConfigSources {
  std::vector<std::filesystem::path> files;
  std::vector<Setting> settings;
};

/// Reads, checks and resolves. Fails with `bad_config`; the text names the key, where it was given and what
/// is valid.
Result<Config> load_config(const ConfigSources& sources);

/// The same for TOML in memory; `name` stands for the file in messages, and its folder is where the paths in
/// it begin.
Result<Config> parse_config(std::string_view toml, const std::filesystem::path& name,
                            const std::vector<Setting>& settings = {});

/// The defaults, resolved.
Config default_config();

/// config.toml: every key with the value in use; reading it gives the same Config.
std::string to_toml(const Config& config);

/// configs/default.toml: every key with its default and an explanation.
std::string default_toml();

/// docs/configuration.md.
std::string configuration_reference();

/// A key in which two configurations must agree to be one run, but do not.
struct ConfigDifference {
  std::string key;
  std::string stored;  ///< as TOML
  std::string wanted;
};

/// The first such key: model, seed, clients, data, strategy. Others, like goals and rates, may change on a
/// resume.
std::optional<ConfigDifference> first_identity_difference(const Config& stored, const Config& wanted);

}  // namespace fl
