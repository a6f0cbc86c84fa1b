// What follows from several settings together.
#include <algorithm>

#include "actors/chaos.hpp"
#include "learning/compression/residual.hpp"
#include "runtime/config_values.hpp"
#include "runtime/network.hpp"

namespace fl {

namespace {

/// "configs/a.toml:12: " for a key that was given, for the start of a message; empty for a default.
class Origins {
 public:
  explicit Origins(const std::vector<GivenValue>& given) : given_(given) {}

  bool has(std::string_view key) const { return find(key) != given_.end(); }

  /// A refusal that concerns these keys: at the place of the one that was given last.
  tl::unexpected<Error> refuse(std::initializer_list<std::string_view> keys, const std::string& text) const {
    auto where = std::string();
    for (const auto& given : given_) {
      if (std::find(keys.begin(), keys.end(), given.key->name) != keys.end()) where = given.where + ": ";
    }
    return fail(ec::bad_config, where + text);
  }

 private:
  std::vector<GivenValue>::const_iterator find(std::string_view key) const {
    return std::find_if(given_.begin(), given_.end(),
                        [&](const auto& given) { return given.key->name == key; });
  }

  const std::vector<GivenValue>& given_;
};

/// The default step of FedOpt's optimisers (Reddi 2020, 2003.00295).
double default_server_learning_rate(ServerOptimizerName optimizer) {
  switch (optimizer) {
    case ServerOptimizerName::none:
      return 1;
    case ServerOptimizerName::yogi:
      return 0.01;
    case ServerOptimizerName::momentum:
    case ServerOptimizerName::adagrad:
    case ServerOptimizerName::adam:
      return 0.1;
  }
  return 1;
}

/// Pruned weights do not travel: a codec that would send all values sends those that are not zero.
std::string sent_where_not_zero(const std::string& name) {
  auto codec = parse_codec(name);
  if (!codec) return name;  // refused by check_codecs
  if (codec->sparsifier == Sparsifier::none) codec->sparsifier = Sparsifier::prune;
  return to_string(*codec);
}

void derive(Config& config, const Origins& origins) {
  if (!config.clients.speed_list.empty() && !origins.has("clients.speed")) config.clients.speed = "list";
  auto& strategy = config.strategy;
  strategy.staleness.a = config.given.staleness_a.value_or(default_staleness_a(strategy.staleness.function));
  strategy.server_learning_rate =
      config.given.server_learning_rate.value_or(default_server_learning_rate(config.server_optimizer.name));
  strategy.publishing.pruning.gradual = config.prune_schedule == "gradual";
  if (const auto downloads = parse_download_codec(config.download_codec)) {  // else refused by check_codecs
    config.downloads.lossless = downloads->lossless;
    config.downloads.lossy = downloads->lossy;
    strategy.publishing.codec = downloads->lossy;
  }
  config.evaluation.on_clients = config.given.evaluate_where == "clients";
  config.validation_fraction = config.evaluation.on_clients ? config.given.validation_fraction : 0;

  auto& scheduler = config.scheduler;
  scheduler.synchronous = is_synchronous(strategy.name);
  scheduler.clients_count = config.clients.count;
  scheduler.seed = config.seed;
  scheduler.training = config.training;
  scheduler.training.masked = config.strategy.publishing.pruning.ratio > 0;
  scheduler.upload = config.upload;
  scheduler.max_staleness = strategy.max_staleness;
  if (scheduler.training.masked) scheduler.upload.codec = sent_where_not_zero(config.upload.codec);
  scheduler.warmup_versions = config.warmup_versions;
  scheduler.evaluate_every = config.evaluation.on_clients ? config.evaluation.every : 0;
}

/// "I/N" with I below N.
std::optional<DataPart> parse_part(const std::string& text) {
  auto part = DataPart();
  auto consumed = 0;
  if (std::sscanf(text.c_str(), "%9u/%9u%n", &part.index, &part.count, &consumed) != 2) return std::nullopt;
  const auto digits_only = text.find_first_not_of("0123456789/") == std::string::npos;
  if (!digits_only || static_cast<std::size_t>(consumed) != text.size() || part.index >= part.count)
    return std::nullopt;
  return part;
}

Result<void> check_clients(const Config& config, const Origins& origins) {
  const auto& clients = config.clients;
  const auto entries = clients.speed_list.size();
  if (clients.speed == "list" && entries != clients.count)
    return origins.refuse({"clients.count", "clients.speed", "clients.speed_list"},
                          "clients.speed_list has " + std::to_string(entries) +
                              " entries, but clients.count is " + std::to_string(clients.count) +
                              "; it needs one for each client");
  if (clients.speed != "list" && entries > 0)
    return origins.refuse({"clients.speed", "clients.speed_list"},
                          "clients.speed_list is given, but clients.speed is \"" + clients.speed +
                              "\"; leave one of them out, or set clients.speed to \"list\"");
  if (config.simulate.clock != "virtual")
    for (const auto& [key, is_set] : std::initializer_list<std::pair<const char*, bool>>{
             {"clients.up_mbit_s", clients.up_mbit_s > 0},
             {"clients.down_mbit_s", clients.down_mbit_s > 0},
             {"clients.latency_ms", clients.latency_ms > 0},
             {"clients.availability", clients.availability != "always"},
             {"clients.join_spread_s", clients.join_spread_s > 0},
             {"clients.trace", !clients.trace.empty()}})
      if (is_set)
        return origins.refuse({key, "simulate.clock"},
                              std::string(key) +
                                  " describes devices of a simulated clock; set simulate.clock = "
                                  "\"virtual\", or leave it out");
  if (config.scheduler.min_clients > clients.count)
    return origins.refuse({"clients.minimum", "clients.count"},
                          "clients.minimum = " + std::to_string(config.scheduler.min_clients) +
                              " is more than clients.count = " + std::to_string(clients.count));
  return {};
}

Result<void> check_model(const Config& config, const Origins& origins) {
  if (config.trainer.model_file.empty()) return {};
  if (config.trainer.backend == "echo")
    return origins.refuse({"train.backend", "model.file"},
                          "train.backend = \"echo\" trains nothing; leave model.file out, or use \"torch\"");
  return {};
}

Result<void> check_training(const Config& config, const Origins& origins) {
  if (config.training.nesterov && config.training.momentum == 0)
    return origins.refuse({"train.nesterov", "train.momentum"},
                          "train.nesterov needs train.momentum above 0, such as 0.9");
  const auto echo = config.trainer.backend == "echo";
  const auto flat = config.trainer.model == "flat";
  if (echo != flat)
    return origins.refuse({"train.backend", "model.name"},
                          "train.backend = \"" + config.trainer.backend + "\" does not fit model.name = \"" +
                              config.trainer.model + "\": echo and flat belong together");
  if (flat && config.trainer.model_parameters == 0)
    return origins.refuse({"model.name", "model.parameters"},
                          "model.name = \"flat\" needs model.parameters, its size in numbers, at least 1");
  const auto& augmentation = config.training.augmentation;
  const auto augments = config.training.augments();
  const auto& data = config.data.name;
  if (augments && (data == "synthetic_logistic" || data == "csv" || data == "text"))
    return origins.refuse({"data.name", "data.augment", "data.balance"},
                          "data.name = \"" + data +
                              "\" has no images to augment; use data.balance = "
                              "\"oversample\" or train.class_balance, and leave data.augment at false");
  const auto does_nothing = augmentation.shift == 0 && augmentation.rotation == 0 &&
                            augmentation.scale == 0 && augmentation.elastic == 0 && augmentation.erasing == 0;
  if (augments && does_nothing)
    return origins.refuse(
        {"data.augment", "data.balance", "data.augment_shift", "data.augment_rotation", "data.augment_scale",
         "data.augment_elastic", "data.augment_erasing"},
        "every kind of augmentation is left out: give one of data.augment_shift, _rotation, "
        "_scale, _elastic and _erasing a value above 0, or augment nothing");
  return {};
}

Result<void> check_strategy(const Config& config, const Origins& origins) {
  const auto name = config.strategy.name;
  if (config.strategy.buffer_auto && name != StrategyName::fedavg_async && name != StrategyName::fedbuff)
    return origins.refuse(
        {"strategy.name", "strategy.buffer_size"},
        "strategy.buffer_size = \"auto\" is for fedavg_async and fedbuff; strategy.name = \"" +
            to_string(name) + "\" has no buffer; leave it at 0");
  if (!wants_model(config.strategy.name)) return {};
  if (config.upload.codec != "none")
    return origins.refuse(
        {"strategy.name", "upload.codec"},
        "strategy.name = \"fedasync\" needs whole models from the clients, which upload.codec = \"" +
            config.upload.codec +
            "\" would damage; use upload.codec = \"none\" or strategy.name = \"fedasync_delta\"");
  if (config.upload.max_idle_deltas > 0)
    return origins.refuse(
        {"strategy.name", "train.max_idle_deltas"},
        "strategy.name = \"fedasync\" needs whole models from the clients, which cannot wait "
        "and be added up (train.max_idle_deltas); use strategy.name = \"fedasync_delta\"");
  return {};
}

Result<void> check_codecs(const Config& config, const Origins& origins) {
  const auto codec = parse_codec(config.upload.codec);
  if (!codec) return origins.refuse({"upload.codec"}, "upload.codec: " + codec.error().text);
  if (const auto downloads = parse_download_codec(config.download_codec); !downloads)
    return origins.refuse({"download.codec"}, "download.codec: " + downloads.error().text);
  const auto prunes = config.strategy.publishing.pruning.ratio > 0;
  if (prunes && codec->sparsifier == Sparsifier::random_k)
    return origins.refuse(
        {"upload.codec", "train.prune_ratio"},
        "upload.codec = \"" + config.upload.codec +
            "\" draws among all weights, train.prune_ratio leaves few of them; use top_k, or a "
            "quantiser alone: pruned weights do not travel anyway");
  if (prunes && config.downloads.lossy.is_lossy())
    return origins.refuse({"download.codec", "train.prune_ratio"},
                          "train.prune_ratio makes weights exactly zero, which download.codec = \"" +
                              config.download_codec +
                              "\" would not; use download.codec = \"xor\" or \"none\"");
  if (prunes && wants_model(config.strategy.name))
    return origins.refuse(
        {"strategy.name", "train.prune_ratio"},
        "strategy.name = \"fedasync\" needs whole models from the clients, from before a mask "
        "as well as after; with train.prune_ratio use strategy.name = \"fedasync_delta\"");
  const auto thins_out = codec->is_sparse() && codec->sparsifier != Sparsifier::prune;
  if (config.warmup_versions > 0 && !thins_out)
    return origins.refuse({"upload.codec", "upload.warmup_versions"},
                          "upload.warmup_versions warms up what top_k or random_k keeps; upload.codec = \"" +
                              config.upload.codec + "\" keeps all; leave upload.warmup_versions at 0");
  if (config.upload.momentum > 0 && !(thins_out && codec->is_biased()))
    return origins.refuse({"upload.codec", "upload.momentum"},
                          "upload.momentum corrects what top_k leaves out; upload.codec = \"" +
                              config.upload.codec + "\" has no use for it; leave upload.momentum at 0");
  const auto replicas = config.scheduler.backup_tasks > 0 ||
                        (!config.scheduler.synchronous && config.scheduler.redundancy >= 2);
  if (replicas && keeps_residual(*codec, config.upload))
    return origins.refuse(
        {"upload.codec", "train.max_idle_deltas", "schedule.backup_tasks", "schedule.redundancy"},
        "with upload.codec = \"" + config.upload.codec +
            "\" and train.max_idle_deltas = " + std::to_string(config.upload.max_idle_deltas) +
            " each client keeps what it has not sent yet, so no other can do its work for it: use int8, "
            "int4, "
            "qsgd or random_k, or leave schedule.backup_tasks and schedule.redundancy alone");
  return {};
}

Result<void> check_node(const Config& config, const Origins& origins) {
  const auto& net = config.net;
  if (net.tls_certificate.empty() != net.tls_key.empty() || net.tls_key.empty() != net.tls_ca.empty())
    return origins.refuse(
        {"net.tls.certificate", "net.tls.key", "net.tls.ca"},
        "net.tls.certificate, net.tls.key and net.tls.ca go together: give all three or none");
  if (!is_loopback_name(net.bind) && !net.tls() && !net.allow_plaintext)
    return origins.refuse(
        {"net.bind", "net.allow_plaintext"},
        "net.bind = \"" + net.bind +
            "\" would listen to other machines without encryption; make keys with `fl_actor_node "
            "keys init DIR` and use --config DIR/aggregator.toml, or set net.allow_plaintext = true "
            "if you trust the network");
  const auto& dashboard = config.dashboard;
  if (dashboard.enabled && !is_loopback_name(dashboard.bind) && dashboard.token.empty())
    return origins.refuse(
        {"dashboard.bind", "dashboard.enabled"},
        "dashboard.bind = \"" + dashboard.bind +
            "\" would show the run to other machines; give dashboard.token a secret that only "
            "they know who may look, such as what `openssl rand -hex 16` prints");
  if (!net.aggregator_key.empty())
    if (const auto key = PublicKey::parse(net.aggregator_key); !key)
      return origins.refuse({"net.aggregator_key"}, "net.aggregator_key: " + key.error().text);
  if (!config.client_name.empty() && !is_client_name(config.client_name))
    return origins.refuse({"client.name"}, "client.name = \"" + config.client_name +
                                               "\": a name has 1 to 64 letters, digits, dots, dashes and "
                                               "underscores, and does not begin with a dot or a dash");
  if (net.backoff_min > net.backoff_max)
    return origins.refuse({"net.backoff_min_s", "net.backoff_max_s"},
                          "net.backoff_min_s is above net.backoff_max_s");
  if (net.heartbeat >= net.connection_timeout)
    return origins.refuse(
        {"net.heartbeat_s", "net.connection_timeout_s"},
        "net.heartbeat_s must be below net.connection_timeout_s, or every quiet peer counts as gone");
  if (config.supervision.backoff_min > config.supervision.backoff_max)
    return origins.refuse({"supervision.backoff_min_s", "supervision.backoff_max_s"},
                          "supervision.backoff_min_s is above supervision.backoff_max_s");
  if (auto chaos = Chaos::parse(config.chaos_crash); !chaos)
    return origins.refuse({"chaos.crash"}, chaos.error().text);
  return {};
}

}  // namespace

Result<void> resolve(Config& config, const std::vector<GivenValue>& given) {
  const auto origins = Origins(given);
  derive(config, origins);
  config.data_part = std::nullopt;
  if (!config.given.data_part.empty()) {
    config.data_part = parse_part(config.given.data_part);
    if (!config.data_part)
      return origins.refuse({"data.part"},
                            "data.part = \"" + config.given.data_part +
                                "\" is not of the form \"I/N\" with I from 0 to N − 1, such as \"0/3\"");
  }
  for (const auto check :
       {check_clients, check_model, check_training, check_strategy, check_codecs, check_node}) {
    if (auto ok = check(config, origins); !ok) return ok;
  }
  return {};
}

ClientOptions Config::client_options() const {
  auto options = ClientOptions();
  options.port = net.port;
  options.dropout = clients.dropout;
  options.request_timeout = net.request_timeout;
  options.reconnect = net.reconnect;
  options.backoff_min = net.backoff_min;
  options.backoff_max = net.backoff_max;
  return options;
}

std::optional<ConfigDifference> first_identity_difference(const Config& stored, const Config& wanted) {
  for (const auto& key : config_keys()) {
    if (!key.identity) continue;
    auto before = key.get(stored);
    auto now = key.get(wanted);
    if (before != now) return ConfigDifference{key.name, to_toml(before), to_toml(now)};
  }
  return std::nullopt;
}

}  // namespace fl
