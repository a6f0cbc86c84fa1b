#include "runtime/summary.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

namespace fs = std::filesystem;

namespace {

/// A folder of this test's own, gone with it.
struct Folder {
  fs::path path;

  Folder() {
    std::string name = (fs::temp_directory_path() / "fl_summary_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }

  void put(const std::string& name, const std::string& text) const { std::ofstream(path / name) << text; }
};

std::string content(const fs::path& file) {
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

fl::RunSummary full() {
  fl::RunSummary s;
  s.status = fl::RunOutcome::completed;
  s.reason = "run.max_versions = 10 reached";
  s.strategy = "fedavg_async";
  s.clients = 3;
  s.model_version = 10;
  s.updates_accepted = 30;
  s.updates_rejected = {{"too_stale", 2}, {"not_finite", 1}};
  s.quarantined = {"ward-1", "ward-9"};
  s.staleness_mean = 0.75;
  s.staleness_max = 4;
  s.final_accuracy = 0.9812;
  s.best_accuracy = 0.982;
  s.final_loss = 0.0612;
  s.wall_seconds = 83.25;
  s.virtual_seconds = 10'980.0;
  s.bytes_up = 12'300'000;
  s.bytes_down = 45'600'000;
  s.restarts = 1;
  s.resumed_from_version = 4;
  s.model_sha256 = "abc123";
  s.sparsity = 0.75;
  s.int8_accuracy = 0.98;
  s.peak_rss_bytes = 512'000'000;
  return s;
}

}  // namespace

TEST_CASE("summary.json holds every key of the contract, in order") {
  const Folder folder;
  REQUIRE(fl::write_summary(folder.path / "summary.json", full()));
  const auto json = nlohmann::ordered_json::parse(content(folder.path / "summary.json"));
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  CHECK(keys == std::vector<std::string>{"status",           "reason",         "strategy",
                                         "clients",          "model_version",  "updates_accepted",
                                         "updates_rejected", "quarantined",    "staleness_mean",
                                         "staleness_max",    "final_accuracy", "best_accuracy",
                                         "final_metrics",    "final_loss",     "wall_seconds",
                                         "virtual_seconds",  "events",         "bytes_up",
                                         "bytes_down",       "restarts",       "resumed_from_version",
                                         "model_sha256",     "sparsity",       "int8_accuracy",
                                         "peak_rss_bytes"});
  CHECK(json.at("status") == "completed");
  CHECK(json.at("updates_rejected").at("too_stale") == 2);
  CHECK(json.at("final_accuracy") == 0.9812);
  CHECK(json.at("wall_seconds") == 83.25);
  CHECK(json.at("resumed_from_version") == 4);
}

TEST_CASE("what there was not is null, and no refusals are an empty object") {
  const Folder folder;
  REQUIRE(fl::write_summary(folder.path / "summary.json", fl::RunSummary{}));
  const auto json = nlohmann::json::parse(content(folder.path / "summary.json"));
  for (const char* key : {"final_accuracy", "best_accuracy", "final_loss", "virtual_seconds",
                          "resumed_from_version", "int8_accuracy"}) {
    CAPTURE(key);
    CHECK(json.at(key).is_null());
  }
  CHECK(json.at("updates_rejected") == nlohmann::json::object());
}

TEST_CASE("what is written is read back") {
  const Folder folder;
  const fs::path file = folder.path / "summary.json";
  REQUIRE(fl::write_summary(file, full()));
  const auto read = fl::read_summary(file);
  REQUIRE(read);
  CHECK(read->status == fl::RunOutcome::completed);
  CHECK(read->reason == full().reason);
  CHECK(read->updates_rejected == full().updates_rejected);
  CHECK(read->quarantined == full().quarantined);
  CHECK(read->final_loss == full().final_loss);
  CHECK(read->virtual_seconds == full().virtual_seconds);
  CHECK(read->resumed_from_version == full().resumed_from_version);
  CHECK(read->model_sha256 == "abc123");
  CHECK(read->sparsity == 0.75);
  CHECK(read->int8_accuracy == 0.98);
  const std::string once = content(file);
  REQUIRE(fl::write_summary(file, *read));
  CHECK(content(file) == once);
}

TEST_CASE("a client's summary is read back too") {
  const Folder folder;
  fl::ClientSummary client;
  client.status = fl::RunOutcome::stopped;
  client.name = "ann";
  client.tasks_done = 5;
  client.updates_rejected = {{"too_stale", 1}};
  client.last_version = 9;
  REQUIRE(fl::write_summary(folder.path / "summary.json", client));
  const auto read = fl::read_client_summary(folder.path / "summary.json");
  REQUIRE(read);
  CHECK(read->name == "ann");
  CHECK(read->tasks_done == 5);
  CHECK(read->last_version == 9);
  CHECK(read->updates_rejected == client.updates_rejected);
  CHECK_FALSE(fl::read_summary(folder.path / "summary.json"));
}

TEST_CASE("a diverged run, whose loss is no number, still writes a readable summary") {
  const Folder folder;
  fl::RunSummary summary = full();
  summary.final_loss = std::numeric_limits<double>::quiet_NaN();
  REQUIRE(fl::write_summary(folder.path / "summary.json", summary));
  const auto read = fl::read_summary(folder.path / "summary.json");
  REQUIRE(read);
  CHECK_FALSE(read->final_loss);
}

TEST_CASE("a summary that cannot be written leaves the old one and no pieces") {
  const Folder folder;
  const fs::path file = folder.path / "summary.json";
  REQUIRE(fl::write_summary(file, full()));
  const std::string old = content(file);
  // The temporary file's name is taken by a folder, so it cannot be created.
  fs::create_directory(folder.path / "summary.json.tmp");
  const auto failed = fl::write_summary(file, fl::RunSummary{});
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == fl::ec::io_failed);
  CHECK(content(file) == old);

  const auto nowhere = fl::write_summary(folder.path / "missing" / "summary.json", full());
  REQUIRE_FALSE(nowhere);
  CHECK(holds(nowhere.error().text, "missing"));
}

TEST_CASE("damaged summaries are refused by name of the key") {
  const Folder folder;
  const fs::path file = folder.path / "summary.json";
  CHECK(fl::read_summary(file).error().code == fl::ec::io_failed);
  REQUIRE(fl::write_summary(file, full()));
  const std::string whole = content(file);

  // Nothing but the whole file passes (its last two bytes are "}\n").
  for (std::size_t length = 0; length + 2 < whole.size(); ++length) {
    folder.put("summary.json", whole.substr(0, length));
    CHECK_FALSE(fl::read_summary(file));
  }
  auto json = nlohmann::json::parse(whole);
  const auto refused_with = [&](const char* key, const nlohmann::json& value) {
    auto changed = json;
    changed[key] = value;
    folder.put("summary.json", changed.dump());
    const auto read = fl::read_summary(file);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == fl::ec::corrupt_data);
    CHECK(holds(read.error().text, key));
  };
  refused_with("status", "finished");
  refused_with("clients", -1);
  refused_with("clients", "three");
  refused_with("model_version", 1.5);
  refused_with("updates_rejected", 3);
  refused_with("staleness_mean", nullptr);
  json.erase("restarts");
  folder.put("summary.json", json.dump());
  CHECK(holds(fl::read_summary(file).error().text, "restarts"));
}

TEST_CASE("the closing text says what happened") {
  const std::string text = fl::describe(full(), {});
  CHECK(holds(text, "Run completed: run.max_versions = 10 reached.\n"));
  CHECK(holds(text, "version 10, fedavg_async with 3 clients\n"));
  CHECK(holds(text, "98.12 % at the end, 98.20 % at best; loss 0.0612\n"));
  CHECK(holds(text, "30 accepted, 3 rejected (not_finite 1, too_stale 2)\n"));
  CHECK(holds(text, "0.75 versions on average, 4 at most\n"));
  CHECK(holds(text, "1 min 23 s for 3 h 03 min of simulated time\n"));
  CHECK(holds(text, "12.3 MB up, 45.6 MB down\n"));
  CHECK(holds(text, "from version 4\n"));
  CHECK_FALSE(holds(text, "Files"));
}

TEST_CASE("a stopped run says how to go on, a completed one does not") {
  fl::RunSummary summary = full();
  CHECK_FALSE(holds(fl::describe(summary, {}, "fl_actor_node --resume"), "--resume"));
  summary.status = fl::RunOutcome::stopped;
  summary.reason = "interrupted";
  const std::string text = fl::describe(summary, {}, "fl_actor_node --resume");
  CHECK(holds(text, "Run stopped: interrupted.\n"));
  CHECK(holds(text, "To go on from version 10:\n  fl_actor_node --resume\n"));
}

TEST_CASE("only files that are there are listed") {
  const Folder folder;
  folder.put("model.pt", "x");
  const std::string text = fl::describe(full(), folder.path);
  CHECK(holds(text, "Files in " + folder.path.string()));
  CHECK(holds(text, "model.pt"));
  CHECK_FALSE(holds(text, "model.safetensors"));
}

TEST_CASE("a folder is described whatever it holds") {
  const Folder folder;
  const auto empty = fl::describe_folder(folder.path);
  REQUIRE_FALSE(empty);
  CHECK(empty.error().code == fl::ec::bad_config);

  folder.put("metrics.jsonl",
             "{\"version\":1,\"time_s\":2.5,\"eval_accuracy\":0.5}\n"
             "{\"version\":2,\"time_s\":5.5,\"eval_accuracy\":0.75}\n{\"version\":3,\"ti");
  const auto running = fl::describe_folder(folder.path);
  REQUIRE(running);
  CHECK(holds(*running, "Run not ended"));
  CHECK(holds(*running, "version      2\n"));
  CHECK(holds(*running, "75.00 %"));

  REQUIRE(fl::write_summary(folder.path / "summary.json", full()));
  CHECK(holds(fl::describe_folder(folder.path).value(), "Run completed"));

  fl::ClientSummary client;
  client.name = "ann";
  client.status = fl::RunOutcome::completed;
  client.reason = "the run is over";
  REQUIRE(fl::write_summary(folder.path / "summary.json", client));
  CHECK(holds(fl::describe_folder(folder.path).value(), "Client ann completed: the run is over.\n"));
}

TEST_CASE("this process has used memory") {
  CHECK(fl::peak_rss_bytes() > 1'000'000);
}
