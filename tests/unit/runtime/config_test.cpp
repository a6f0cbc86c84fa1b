#include "runtime/config.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "runtime/config_schema.hpp"
#include "runtime/config_values.hpp"
#include "tests/support/temporary_folder.hpp"

using fl::test::holds_all;

namespace {

fl::Result<fl::Config> with(const std::vector<std::pair<std::string, std::string>>& settings) {
  auto sources = fl::ConfigSources();
  for (const auto& [key, value] : settings)
    sources.settings.push_back({key, value, "--set " + key + "=" + value});
  return fl::load_config(sources);
}

/// The text of the refusal.
std::string refusal(const std::vector<std::pair<std::string, std::string>>& settings) {
  const auto config = with(settings);
  REQUIRE_FALSE(config.has_value());
  CHECK(config.error().code == fl::ec::bad_config);
  return config.error().text;
}

std::string toml_refusal(const std::string& toml) {
  const auto config = fl::parse_config(toml, "run.toml");
  REQUIRE_FALSE(config.has_value());
  CHECK(config.error().code == fl::ec::bad_config);
  return config.error().text;
}

}  // namespace

// -- Defaults -------------------------------------------------------------------------------------

TEST_CASE("the defaults are those that scripts rely on") {
  const auto expected = std::vector<std::pair<std::string, std::string>>{
      {"run.seed", "1"},
      {"run.max_versions", "10"},
      {"run.max_updates", "0"},
      {"run.max_seconds", "0.0"},
      {"run.target_accuracy", "0.0"},
      {"model.name", "\"simple_cnn\""},
      {"data.name", "\"mnist\""},
      {"data.dir", "\"data/mnist\""},
      {"data.partition", "\"iid\""},
      {"data.dirichlet_alpha", "0.5"},
      {"data.shards_per_client", "2"},
      {"clients.count", "3"},
      {"clients.fraction", "1.0"},
      {"clients.speed", "\"uniform\""},
      {"clients.dropout", "0.0"},
      {"train.backend", "\"torch\""},
      {"train.echo_seconds", "0.0"},
      {"train.epochs", "1"},
      {"train.batch_size", "32"},
      {"train.learning_rate", "0.01"},
      {"train.momentum", "0.0"},
      {"train.optimizer", "\"sgd\""},
      {"train.threads", "1"},
      {"train.precision", "\"fp32\""},
      {"train.device", "\"auto\""},
      {"strategy.name", "\"fedavg_async\""},
      {"strategy.buffer_size", "0"},
      {"strategy.server_learning_rate", "1.0"},
      {"strategy.staleness", "\"polynomial\""},
      {"strategy.staleness_a", "0.5"},
      {"strategy.staleness_b", "4.0"},
      {"strategy.max_staleness", "0"},
      {"upload.codec", "\"none\""},
      {"download.codec", "\"none\""},
      {"schedule.policy", "\"all\""},
      {"schedule.adaptive_work", "false"},
      {"schedule.redundancy", "1.0"},
      {"evaluate.every", "1"},
      {"evaluate.where", "\"server\""},
      {"store.durability", "\"auto\""},
      {"net.port", "4242"},
      {"net.bind", "\"127.0.0.1\""},
      {"net.allow_plaintext", "false"},
      {"simulate.clock", "\"real\""},
      {"simulate.workers", "0"},
  };
  const auto config = fl::default_config();
  for (const auto& setting : expected) {
    CAPTURE(setting.first);
    const auto* key = fl::find_config_key(setting.first);
    REQUIRE(key != nullptr);
    CHECK(fl::to_toml(key->get(config)) == setting.second);
  }
  for (const auto* name :
       {"model.parameters", "model.file", "data.part", "clients.speed_list", "schedule.task_timeout_s",
        "store.snapshot_every", "store.keep_snapshots", "store.keep_updates", "store.max_bytes",
        "net.max_model_bytes", "net.reconnect_seconds", "net.tls.certificate", "net.tls.key", "net.tls.ca",
        "net.identity", "net.allow_list", "chaos.crash"}) {
    CAPTURE(name);
    CHECK(fl::find_config_key(name) != nullptr);
  }
}

TEST_CASE("every key is explained, belongs to a section, and its default is allowed") {
  for (const auto& key : fl::config_keys()) {
    CAPTURE(key.name);
    CHECK(key.documentation.ends_with("."));
    const auto& sections = fl::config_sections();
    CHECK(std::any_of(sections.begin(), sections.end(),
                      [&](const auto& s) { return s.name == key.section(); }));
    const auto given = fl::GivenValue{&key, key.get(fl::default_config()), "default"};
    CHECK(fl::check_value(given).has_value());
    CHECK(fl::find_config_key(key.name) == &key);  // no name twice
    for (const auto& choice : key.choices) {
      auto config = fl::Config();
      key.set(config, choice);
      CHECK(key.get(config) == fl::ConfigValue(choice));
    }
  }
}

TEST_CASE("the files generated from the table are up to date") {
  const auto root = std::filesystem::path(FL_SOURCE_DIR);
  INFO(
      "run: fl_actor_node config default > configs/default.toml; fl_actor_node config docs > "
      "docs/configuration.md");
  CHECK(fl::test::read_text(root / "configs/default.toml") == fl::default_toml());
  CHECK(fl::test::read_text(root / "docs/configuration.md") == fl::configuration_reference());
}

TEST_CASE("the shipped configurations are valid") {
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(FL_SOURCE_DIR) / "configs")) {
    if (entry.path().extension() != ".toml") continue;
    const auto config = fl::load_config(fl::ConfigSources{{entry.path()}, {}});
    INFO((config ? std::string() : config.error().text));
    CHECK(config.has_value());
  }
}

// -- Round trips ----------------------------------------------------------------------------------

TEST_CASE("what is written as TOML reads back the same") {
  const auto defaults = fl::default_config();
  const auto from_default_toml = fl::parse_config(fl::default_toml(), "default.toml");
  REQUIRE(from_default_toml.has_value());
  CHECK(fl::to_toml(*from_default_toml) == fl::to_toml(defaults));

  const auto changed = with({{"run.seed", "7"},
                             {"data.dir", "a \"quoted\" \\ dir"},
                             {"clients.speed_list", "[1, 2.5, 10]"},
                             {"chaos.crash", "aggregator@version=3, client-2@task=2"},
                             {"train.learning_rate", "0.1"},
                             {"schedule.task_timeout_s", "12.5"},
                             {"strategy.name", "fedbuff"},
                             {"strategy.staleness", "hinge"},
                             {"evaluate.where", "clients"},
                             {"log.progress", "false"}});
  REQUIRE(changed.has_value());
  const auto again = fl::parse_config(fl::to_toml(*changed), "config.toml");
  REQUIRE(again.has_value());
  CHECK(fl::to_toml(*again) == fl::to_toml(*changed));
  CHECK(again->data.dir == "a \"quoted\" \\ dir");
  CHECK(again->clients.speed_list == std::vector<double>{1, 2.5, 10});
  CHECK(again->chaos_crash == std::vector<std::string>{"aggregator@version=3", "client-2@task=2"});
  CHECK(again->strategy.name == fl::StrategyName::fedbuff);
  CHECK_FALSE(fl::first_identity_difference(*changed, *again).has_value());
}

TEST_CASE("a default that follows from other keys goes on following them after a round trip") {
  const auto stored = fl::to_toml(fl::default_config());
  const auto config = fl::parse_config(stored, "config.toml", {{"strategy.staleness", "hinge", "--set"}});
  REQUIRE(config.has_value());
  CHECK(config->strategy.staleness.a == 10);
}

// -- Reading --------------------------------------------------------------------------------------

TEST_CASE("--set reads by the declared type") {
  const auto config = with({{"train.learning_rate", "1"},
                            {"strategy.name", "fedavg"},
                            {"data.name", "\"synthetic_digits\""},
                            {"train.nesterov", "true"},
                            {"train.momentum", "0.9"},
                            {"clients.count", "2"},
                            {"clients.speed_list", "1,10"}});
  REQUIRE(config.has_value());
  CHECK(config->training.learning_rate == 1);
  CHECK(config->strategy.name == fl::StrategyName::fedavg);
  CHECK(config->data.name == "synthetic_digits");
  CHECK(config->training.nesterov);
  CHECK(config->clients.speed == "list");
  CHECK(config->clients.speed_list == std::vector<double>{1, 10});
  CHECK(with({{"clients.speed_list", "[]"}}).has_value());
}

TEST_CASE("in a file integers serve as numbers, and the last of --set wins over the file") {
  const auto config =
      fl::parse_config("[train]\nlearning_rate = 1\n[run]\nseed = 3\n", "run.toml",
                       {{"run.seed", "4", "--set run.seed=4"}, {"run.seed", "5", "--set run.seed=5"}});
  REQUIRE(config.has_value());
  CHECK(config->training.learning_rate == 1);
  CHECK(config->seed == 5);
  CHECK(fl::parse_config("run.seed = 3\nnet.tls = {}\n", "run.toml")->seed == 3);
}

TEST_CASE("what follows from several keys") {
  CHECK(with({{"strategy.staleness", "hinge"}})->strategy.staleness.a == 10);
  CHECK(with({{"strategy.staleness", "exponential"}})->strategy.staleness.a == 0.1);
  CHECK(with({{"strategy.staleness", "hinge"}, {"strategy.staleness_a", "2"}})->strategy.staleness.a == 2);
  CHECK(with({{"strategy.server_optimizer", "adam"}})->strategy.server_learning_rate == 0.1);
  CHECK(with({{"strategy.server_optimizer", "yogi"}})->strategy.server_learning_rate == 0.01);
  CHECK(with({})->validation_fraction == 0);
  CHECK(with({{"evaluate.where", "clients"}})->validation_fraction == 0.1);

  const auto config =
      with({{"run.seed", "9"}, {"clients.count", "12"}, {"strategy.name", "fedavg"}, {"train.epochs", "4"}});
  CHECK(config->scheduler.seed == 9);
  CHECK(config->scheduler.clients_count == 12);
  CHECK(config->scheduler.synchronous);
  CHECK(config->scheduler.training.epochs == 4);

  const auto part = with({{"data.part", "1/3"}})->data_part;
  REQUIRE(part.has_value());
  CHECK(part->index == 1);
  CHECK(part->count == 3);

  const auto client =
      with({{"net.request_timeout_s", "1.5"}, {"net.reconnect_seconds", "3"}})->client_options();
  CHECK(client.request_timeout == std::chrono::milliseconds(1500));
  CHECK(client.reconnect == fl::Seconds(3));
}

// -- Refusals -------------------------------------------------------------------------------------

TEST_CASE("an unknown key is refused with its place and the nearest valid key") {
  CHECK(holds_all(toml_refusal("[run]\nseed = 1\n\n[strategy]\nbufer_size = 2\n"),
                  {"run.toml:5", "\"strategy.bufer_size\"", "\"strategy.buffer_size\""}));
  CHECK(holds_all(toml_refusal("[trian]\nepochs = 2\n"), {"run.toml:2", "\"train.epochs\""}));
  CHECK(holds_all(toml_refusal("[nonsense]\n"), {"run.toml:1", "\"nonsense\""}));
  CHECK(holds_all(toml_refusal("run = 3\n"), {"run.toml:1", "section"}));
  CHECK(holds_all(refusal({{"seed", "2"}}), {"--set seed=2", "\"run.seed\""}));
  CHECK(holds_all(refusal({{"train.lr", "2"}}), {"\"train.learning_rate\""}));
  CHECK(holds_all(refusal({{"strategy.sever_learning_rate", "2"}}), {"\"strategy.server_learning_rate\""}));
}

TEST_CASE("a wrong type is refused with what was expected and found") {
  CHECK(holds_all(toml_refusal("[run]\nseed = \"one\"\n"),
                  {"run.toml:2", "run.seed", "an integer", "\"one\" is a string"}));
  CHECK(holds_all(toml_refusal("[run]\nseed = 1.5\n"), {"run.seed", "an integer", "1.5"}));
  CHECK(holds_all(toml_refusal("[train]\nnesterov = 1\n"),
                  {"train.nesterov", "true or false", "1 is an integer"}));
  CHECK(holds_all(toml_refusal("[data]\nname = 5\n"), {"data.name", "a string"}));
  CHECK(holds_all(toml_refusal("[clients]\nspeed_list = [1, \"a\"]\n"),
                  {"clients.speed_list", "a list of numbers"}));
  CHECK(
      holds_all(toml_refusal("[run]\nmax_seconds = 1979-05-27\n"), {"run.max_seconds", "a number", "date"}));
  CHECK(holds_all(refusal({{"run.seed", "abc"}}), {"--set run.seed=abc", "an integer", "abc"}));
  CHECK(holds_all(refusal({{"run.seed", "1e3"}}), {"an integer"}));
  CHECK(holds_all(refusal({{"train.learning_rate", "fast"}}), {"a number"}));
  CHECK(holds_all(refusal({{"train.nesterov", "yes"}}), {"true or false"}));
  CHECK(holds_all(refusal({{"clients.speed_list", "1,x"}}), {"a list of numbers"}));
}

TEST_CASE("a value out of range is refused with the range") {
  CHECK(holds_all(toml_refusal("[strategy]\nbuffer_size = -1\n"),
                  {"run.toml:2", "strategy.buffer_size = -1", "at least 0"}));
  CHECK(holds_all(refusal({{"train.momentum", "1"}}), {"train.momentum", "[0, 1)"}));
  CHECK(holds_all(refusal({{"clients.fraction", "0"}}), {"clients.fraction", "(0, 1]"}));
  CHECK(holds_all(refusal({{"net.port", "70000"}}), {"net.port", "65535"}));
  CHECK(holds_all(refusal({{"clients.count", "4294967296"}}), {"clients.count", "at most 4294967295"}));
  CHECK(holds_all(refusal({{"train.batch_size", "0"}}), {"at least 1"}));
  CHECK(holds_all(refusal({{"train.learning_rate", "nan"}}), {"finite"}));
  CHECK(holds_all(refusal({{"clients.speed_list", "1,2,0"}}), {"each entry", "above 0"}));
  CHECK(holds_all(refusal({{"strategy.name", "fedavgg"}}),
                  {"strategy.name", "fedbuff", "nearest is \"fedavg\""}));
  const auto far = refusal({{"data.partition", "random"}});
  CHECK(holds_all(far, {"\"iid\", \"dirichlet\""}));
  CHECK(far.find("nearest") == std::string::npos);
}

TEST_CASE("secrets are not written where the run is kept") {
  const auto config = with({{"dashboard.token", "s3cret"}});
  REQUIRE(config);
  CHECK(config->dashboard.token == "s3cret");
  const auto text = fl::to_toml(*config);
  CHECK(text.find("s3cret") == std::string::npos);
  CHECK(fl::parse_config(text, "config.toml")->dashboard.token.empty());
}

TEST_CASE("a page for other machines needs a token, whatever a name looks like") {
  for (const auto* const bind : {"0.0.0.0", "192.0.2.1", "127.example.org", "::"}) {
    CAPTURE(bind);
    CHECK(holds_all(refusal({{"dashboard.enabled", "true"}, {"dashboard.bind", bind}}),
                    {"dashboard.token", bind}));
    CHECK(with({{"dashboard.enabled", "true"}, {"dashboard.bind", bind}, {"dashboard.token", "x"}})
              .has_value());
  }
  for (const auto* const bind : {"127.0.0.1", "127.1.2.3", "::1", "localhost"})
    CHECK(with({{"dashboard.enabled", "true"}, {"dashboard.bind", bind}}).has_value());
}

TEST_CASE("a key may take a word beside numbers") {
  const auto chosen = with({{"strategy.buffer_size", "auto"}});
  REQUIRE(chosen);
  CHECK(chosen->strategy.buffer_auto);
  const auto read_again = fl::parse_config(fl::to_toml(*chosen), "config.toml");
  REQUIRE(read_again);
  CHECK(read_again->strategy.buffer_auto);
  CHECK_FALSE(with({{"strategy.buffer_size", "7"}})->strategy.buffer_auto);
  CHECK(with({{"strategy.buffer_size", "7"}})->strategy.buffer_size == 7);
  CHECK(holds_all(refusal({{"strategy.buffer_size", "automatic"}}), {"an integer or \"auto\""}));
  CHECK(holds_all(toml_refusal("[strategy]\nbuffer_size = \"none\"\n"), {"an integer or \"auto\""}));
  CHECK(holds_all(refusal({{"train.epochs", "auto"}}), {"must be an integer, but"}));
}

TEST_CASE("settings that contradict each other are refused") {
  CHECK(holds_all(refusal({{"strategy.buffer_size", "auto"}, {"strategy.name", "fedavg"}}),
                  {"strategy.buffer_size", "fedbuff", "\"fedavg\""}));
  CHECK(holds_all(
      refusal({{"data.name", "synthetic_logistic"}, {"model.name", "logistic"}, {"data.augment", "true"}}),
      {"synthetic_logistic", "oversample"}));
  CHECK(holds_all(refusal({{"data.balance", "augment"},
                           {"data.augment_shift", "0"},
                           {"data.augment_rotation", "0"},
                           {"data.augment_scale", "0"},
                           {"data.augment_elastic", "0"}}),
                  {"data.augment_shift", "above 0"}));
  CHECK(holds_all(refusal({{"clients.count", "4"}, {"clients.speed_list", "1,1,10"}}),
                  {"clients.speed_list", "3 entries", "clients.count is 4"}));
  CHECK(holds_all(refusal({{"clients.speed", "list"}}), {"clients.speed_list", "0 entries"}));
  CHECK(holds_all(refusal({{"clients.speed", "uniform"}, {"clients.speed_list", "1,1,10"}}),
                  {"clients.speed_list"}));
  CHECK(holds_all(refusal({{"strategy.name", "fedasync"}, {"upload.codec", "top_k"}}),
                  {"fedasync", "fedasync_delta"}));
  CHECK(holds_all(refusal({{"upload.codec", "top_k:2"}}), {"upload.codec", "top_k:2", "(0, 1]"}));
  CHECK(holds_all(refusal({{"upload.codec", "int8"}, {"upload.warmup_versions", "4"}}),
                  {"upload.warmup_versions", "int8"}));
  CHECK(holds_all(refusal({{"upload.codec", "sign"}, {"upload.momentum", "0.9"}}),
                  {"upload.momentum", "sign"}));
  CHECK(holds_all(refusal({{"upload.codec", "top_k"}, {"schedule.backup_tasks", "1"}}),
                  {"upload.codec", "top_k", "schedule.backup_tasks"}));
  CHECK(holds_all(refusal({{"train.max_idle_deltas", "1"}, {"schedule.redundancy", "2"}}),
                  {"train.max_idle_deltas", "schedule.redundancy"}));
  CHECK(holds_all(refusal({{"train.max_idle_deltas", "1"}, {"strategy.name", "fedasync"}}),
                  {"train.max_idle_deltas", "fedasync_delta"}));
  CHECK(with({{"upload.codec", "int8"}, {"schedule.backup_tasks", "1"}}).has_value());
  CHECK(holds_all(refusal({{"train.nesterov", "true"}}), {"train.momentum"}));
  CHECK(holds_all(refusal({{"train.backend", "echo"}}), {"echo", "model.name"}));
  CHECK(holds_all(refusal({{"model.name", "flat"}, {"model.parameters", "5"}}), {"train.backend", "flat"}));
  CHECK(holds_all(refusal({{"train.backend", "echo"}, {"model.name", "flat"}}),
                  {"model.parameters", "at least 1"}));
  CHECK(with({{"train.backend", "echo"}, {"model.name", "flat"}, {"model.parameters", "5"}}).has_value());
  for (const auto* part : {"3/3", "1", "a/b", "1/3x", "-1/3", "/", "1/0", " 1/3"}) {
    CAPTURE(part);
    CHECK(holds_all(toml_refusal("[data]\npart = \"" + std::string(part) + "\"\n"),
                    {"run.toml:2", "data.part", "I/N"}));
  }
  CHECK(holds_all(refusal({{"clients.minimum", "4"}}), {"clients.minimum", "clients.count"}));
  CHECK(holds_all(refusal({{"net.bind", "0.0.0.0"}}), {"net.bind", "net.allow_plaintext"}));
  CHECK(with({{"net.bind", "0.0.0.0"}, {"net.allow_plaintext", "true"}}).has_value());
  CHECK(holds_all(refusal({{"net.tls.key", "a.key"}}), {"net.tls.certificate", "net.tls.ca", "together"}));
  CHECK(with({{"net.bind", "0.0.0.0"},
              {"net.tls.certificate", "a.pem"},
              {"net.tls.key", "a.key"},
              {"net.tls.ca", "ca.pem"}})
            .has_value());
  CHECK(holds_all(refusal({{"net.aggregator_key", "AAAA"}}), {"net.aggregator_key", "AAAA", "Base64"}));
  CHECK(holds_all(refusal({{"client.name", "a b"}}), {"client.name", "a b", "letters"}));
  CHECK(holds_all(refusal({{"net.heartbeat_s", "40"}}), {"net.heartbeat_s", "net.connection_timeout_s"}));
  CHECK(holds_all(refusal({{"chaos.crash", "everything"}}), {"chaos.crash", "everything"}));
}

TEST_CASE("devices that only a simulated clock can have are refused on the real one") {
  for (const auto& setting :
       std::vector<std::pair<std::string, std::string>>{{"clients.up_mbit_s", "5"},
                                                        {"clients.latency_ms", "20"},
                                                        {"clients.availability", "diurnal"},
                                                        {"clients.join_spread_s", "60"},
                                                        {"clients.trace", "devices.csv"}}) {
    CAPTURE(setting.first);
    CHECK(holds_all(refusal({setting}), {setting.first, "simulate.clock = \"virtual\""}));
    CHECK(with({setting, {"simulate.clock", "virtual"}}).has_value());
  }
}

TEST_CASE("what could not be written to config.toml is refused") {
  CHECK(holds_all(refusal({{"net.allow_list", "list\xaa"}}), {"net.allow_list", "UTF-8"}));
  CHECK(with({{"net.allow_list", "schl\xc3\xbcssel \"\\ \x01"}}).has_value());
}

TEST_CASE("paths in a file begin in its folder, those of the command line here; later files win") {
  const auto folder = fl::test::TemporaryFolder();
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream(folder / name) << text;
    return folder / name;
  };
  const auto keys = write("keys.toml", "[net]\nidentity = \"a.identity\"\nport = 1\n");
  const auto run = write("run.toml", "[run]\nseed = 7\n[net]\nport = 2\n");
  const auto config = fl::load_config(fl::ConfigSources{{keys, run}, {{"net.allow_list", "list", "--set"}}});
  REQUIRE(config.has_value());
  CHECK(config->net.identity == folder / "a.identity");
  CHECK(config->net.allow_list == std::filesystem::current_path() / "list");
  CHECK(config->seed == 7);
  CHECK(config->net.port == 2);
  CHECK(fl::load_config(fl::ConfigSources{{run, keys}, {}})->net.port == 1);
}

TEST_CASE("files that cannot be read as TOML are refused") {
  CHECK(holds_all(toml_refusal("[run]\nseed = \n"), {"run.toml:2", "TOML"}));
  CHECK(holds_all(toml_refusal("[run]\nseed = 1\nseed = 2\n"), {"run.toml:3"}));
  const auto folder = fl::test::TemporaryFolder();
  for (const auto& path : {folder / "missing.toml", folder.path()}) {
    const auto config = fl::load_config(fl::ConfigSources{{path}, {}});
    REQUIRE_FALSE(config.has_value());
    CHECK(config.error().code == fl::ec::bad_config);
    CHECK(holds_all(config.error().text, {path.string()}));
  }
}

// -- Identity -------------------------------------------------------------------------------------

TEST_CASE("what makes two runs the same") {
  const auto stored = fl::default_config();
  CHECK_FALSE(
      fl::first_identity_difference(stored, *with({{"run.max_versions", "99"}, {"train.epochs", "2"}}))
          .has_value());
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"run.seed", "2"},
                                                        {"model.name", "mlp_2nn"},
                                                        {"clients.count", "4"},
                                                        {"data.partition", "shards"},
                                                        {"strategy.name", "fedavg"},
                                                        {"strategy.server_optimizer", "adam"}}) {
    const auto difference = fl::first_identity_difference(stored, *with({{key, value}}));
    REQUIRE(difference.has_value());
    CHECK(difference->key == key);
    CHECK(difference->wanted.find(value) != std::string::npos);
    CHECK(difference->stored != difference->wanted);
  }
}
