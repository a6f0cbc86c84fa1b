// runs, inspect, export and config check, on folders made by the run store itself.
#include <doctest/doctest.h>
#include <spdlog/fmt/fmt.h>

#include "learning/aggregation/validation.hpp"
#include "messages/file_source.hpp"
#include "runtime/config_command.hpp"
#include "runtime/export_command.hpp"
#include "runtime/file_report.hpp"
#include "runtime/inspect_command.hpp"
#include "runtime/run_overview.hpp"
#include "runtime/run_store.hpp"
#include "runtime/safetensors.hpp"
#include "tests/support/small_state.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace fl;
using fl::test::holds_all;
using fl::test::read_text;
using fl::test::small_layout;
using fl::test::write_text;

namespace {

UpdateInfo info() {
  auto info = UpdateInfo();
  info.task = 21;
  info.base = 6;
  info.samples = 40;
  return info;
}

ByteSourcePtr update_blob() {
  auto blob = make_update_blob(info(), *small_layout(), false);
  std::ranges::copy(test::counting(small_layout(), -1).values(), blob.values().begin());
  return std::make_shared<const MemorySource>(std::move(blob.buffer));
}

/// A completed run of one client, with versions 7 (snapshot) and the first update kept.
void make_run(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  write_text(folder / "config.toml", "[strategy]\nname = \"fedbuff\"\n[clients]\ncount = 4\n");
  auto store = RunStore::open(folder, {{"small", "fedbuff", 5}, 3, {true, true, 0}});
  REQUIRE(store.has_value());
  REQUIRE((*store)->bind_client("ann, \"the first\"", 4, {}).has_value());
  auto update = LedgerUpdate();
  update.number = 1;
  update.blob = update_blob();
  update.record.task = 21;
  update.record.folded_into = 7;
  update.record.bytes = update.blob->size();
  auto batch = LedgerBatch();
  batch.accepted = {update};
  batch.closings = {{7, 1, 1.0}};
  REQUIRE((*store)->commit(batch).has_value());
  REQUIRE((*store)->save_snapshot(test::full_state(7), 22).has_value());
  auto version = VersionRecord();
  version.version = 7;
  version.time_s = 12;
  version.updates = 1;
  version.totals.updates_accepted = 1;
  version.totals.updates_rejected = {{"flood", 2}};
  version.totals.wall_seconds = 83;
  REQUIRE((*store)->save_version(version).has_value());
  REQUIRE((*store)->complete_version(7, Evaluation{7, 10, 0.25, 0.875}).has_value());
  REQUIRE((*store)->set_state(RunState::completed).has_value());
}

/// The error of a file that is refused.
std::string refusal(const std::filesystem::path& file) {
  const auto report = describe_model_file(file);
  REQUIRE_FALSE(report.has_value());
  CHECK(report.error().text.starts_with(file.string()));
  return report.error().text;
}

/// Changes one byte, counted from the end.
void damage(const std::filesystem::path& file, std::size_t from_end) {
  auto text = read_text(file);
  text[text.size() - from_end] ^= 0x40;
  write_text(file, text);
}

}  // namespace

TEST_CASE("runs are found below a folder, and each is a row") {
  const auto place = test::TemporaryFolder();
  make_run(place / "b/first");
  make_run(place / "a");
  std::filesystem::create_directories(place / "b/empty");
  const auto found = find_runs(place.path());
  REQUIRE(found.has_value());
  CHECK(*found == std::vector<std::filesystem::path>{place / "a", place / "b/first"});
  CHECK(find_runs(place / "a")->size() == 1);
  CHECK(holds_all(find_runs(place / "none").error().text, {(place / "none").string()}));

  const auto run = read_overview(place / "a");
  REQUIRE(run.has_value());
  auto row = overview_row("a", *run);
  CHECK(row["began"].get<std::string>().ends_with("Z"));
  row.erase("began");
  CHECK(
      row.dump() ==
      R"({"name":"a","state":"completed","strategy":"fedbuff","model":"simple_cnn","clients":4,"version":7,)"
      R"("updates":1,"best_accuracy":0.875,"duration_s":83.0})");
  CHECK(read_overview(place / "b").error().code == ec::bad_config);
}

TEST_CASE("a run that nobody works on any more was cut short") {
  const auto place = test::TemporaryFolder();
  REQUIRE(RunStore::open(place.path(), {{"small", "fedavg", 5}, 3, {}}).has_value());
  CHECK(read_overview(place.path())->state == "cut short");
  CHECK_FALSE(read_overview(place.path())->config.has_value());
}

TEST_CASE("a run's folder says who took part and what is kept") {
  const auto place = test::TemporaryFolder();
  make_run(place.path());
  const auto report = describe_run_folder(place.path());
  REQUIRE(report.has_value());
  CHECK(report->at("kept_versions") == Report{7});
  CHECK(report->at("updates_refused").at("flood") == 2);
  CHECK(report->at("known_clients").at(0).at("name") == "ann, \"the first\"");
  CHECK(report->at("known_clients").at(0).at("updates") == 1);
  CHECK(holds_all(report_text(*report), {"87.50 %", "1 min 23 s", "checkpoints/", "updates/", "run.db"}));
}

TEST_CASE("a snapshot says what it is of, and each tensor of each array") {
  const auto place = test::TemporaryFolder();
  make_run(place.path());
  const auto report = describe_model_file(place / "checkpoints/version-00000007.snapshot");
  REQUIRE(report.has_value());
  CHECK(report->at("kind") == "snapshot");
  CHECK(report->at("version") == 7);
  CHECK(report->at("strategy") == "fedbuff");
  CHECK(report->at("seed") == 5);
  CHECK(report->at("updates_in_buffer") == 2);
  CHECK(report->at("parameters").size() == 3);
  CHECK(report->at("parameters").at(1).dump() ==
        R"({"name":"bias","kind":"trainable","shape":[3],"values":3,"min":28.0,"max":30.0,"mean":29.0,)"
        R"("not_finite":0})");
  CHECK(report->at("optimizer.v").at(0).at("min") == 200);
}

TEST_CASE("a kept update has the tensors of the run it lies in; elsewhere it is one array") {
  const auto place = test::TemporaryFolder();
  make_run(place / "run");
  const auto kept = place / "run/updates/0000000001.update";
  const auto report = describe_model_file(kept);
  REQUIRE(report.has_value());
  CHECK(report->at("kind") == "update");
  CHECK(report->at("task") == 21);
  CHECK(report->at("delta").at(2).at("name") == "mean");
  CHECK(report->at("delta").at(2).at("max") == 27);
  std::filesystem::copy(kept, place / "other.update");
  CHECK(describe_model_file(place / "other.update")->at("delta").at(0).at("values") == 29);
  damage(kept, 1);
  CHECK(holds_all(refusal(kept), {"ledger", "run.db"}));
}

TEST_CASE("what a sparse update leaves out counts as zero") {
  const auto place = test::TemporaryFolder();
  auto values = test::counting(small_layout(), -1);
  const auto codec = parse_codec("top_k:0.1").value();
  const auto coded = encode_array(codec, *small_layout(), values.values(), 1);
  REQUIRE(coded.has_value());
  const auto blob = make_update_blob(info(), *small_layout(), codec, coded->span());
  write_text(place / "sparse.update",
             std::string(reinterpret_cast<const char*>(blob.buffer.data()), blob.buffer.size()));
  const auto report = describe_model_file(place / "sparse.update");
  REQUIRE(report.has_value());
  const auto& row = report->at("delta (top_k:0.1)").at(0);
  CHECK(row.at("values") == 29);
  CHECK(row.at("min") == 0);
  CHECK(row.at("max") == 27);
}

TEST_CASE("safetensors of ours are understood") {
  const auto place = test::TemporaryFolder();
  auto model = test::counting(small_layout(), 1);
  model.values()[0] = std::numeric_limits<float>::infinity();
  REQUIRE(write_safetensors(model, {{"version", "7"}}, place / "model.safetensors").has_value());
  const auto report = describe_model_file(place / "model.safetensors");
  REQUIRE(report.has_value());
  CHECK(report->at("metadata.version") == "7");
  CHECK(report->at("tensors").at(0).dump() ==
        R"({"name":"weight","type":"F32","shape":[3,7],"values":21,"min":2.0,"max":21.0,"mean":11.5,)"
        R"("not_finite":1})");
}

TEST_CASE("damaged and foreign files are refused with the place") {
  const auto place = test::TemporaryFolder();
  make_run(place.path());
  const auto snapshot = place / "checkpoints/version-00000007.snapshot";
  const auto whole = read_text(snapshot);
  damage(snapshot, 4);
  CHECK(holds_all(refusal(snapshot), {"array \"buffer\"", "from byte", "checksum"}));
  write_text(snapshot, whole.substr(0, whole.size() - 10));
  CHECK(holds_all(refusal(snapshot), {"buffer"}));
  write_text(snapshot, whole.substr(0, 30));
  CHECK(holds_all(refusal(snapshot), {"header", "bytes"}));
  write_text(place / "picture.png", "\x89PNG and more than sixteen bytes");
  CHECK(holds_all(refusal(place / "picture.png"), {"no snapshot", "safetensors"}));
  write_text(place / "empty", "");
  CHECK(holds_all(refusal(place / "empty"), {"no snapshot"}));
  write_text(place / "short.safetensors", "abc");
  CHECK(holds_all(refusal(place / "short.safetensors"), {"too short"}));
}

TEST_CASE("a run is exported whole, and nothing is written over") {
  const auto place = test::TemporaryFolder();
  make_run(place / "run");
  const auto before = test::tree_of(place / "run");
  const auto exported = [&](ExportFormat format, const std::string& name,
                            std::optional<Version> version = std::nullopt) {
    return export_run({place / "run", format, version, place / name});
  };
  CHECK(exported(ExportFormat::metrics, "metrics.csv") == ExitCode::done);
  CHECK(read_text(place / "metrics.csv").starts_with("version,time_s,virtual_s,updates,"));
  CHECK(holds_all(read_text(place / "metrics.csv"), {"\n7,12.0,,1,", ",0.875,"}));
  CHECK(exported(ExportFormat::updates, "updates.csv") == ExitCode::done);
  CHECK(holds_all(read_text(place / "updates.csv"),
                  {"sequence,task,epoch,client,", ",client_name\n1,21,", "\"ann, \"\"the first\"\"\"\n",
                   fmt::format(",{:016x},", *hash_of(*update_blob()))}));
  CHECK(exported(ExportFormat::safetensors, "model.safetensors", 7) == ExitCode::done);
  CHECK(describe_model_file(place / "model.safetensors")->at("tensors").at(1).at("mean") == 29);
  CHECK(exported(ExportFormat::snapshot, "copy.snapshot") == ExitCode::done);
  CHECK(read_text(place / "copy.snapshot") == read_text(place / "run/checkpoints/version-00000007.snapshot"));
  CHECK(test::tree_of(place / "run") == before);

  CHECK(exported(ExportFormat::metrics, "copy.snapshot") == ExitCode::refused);
  CHECK(exported(ExportFormat::safetensors, "other", 6) == ExitCode::refused);
  CHECK(exported(ExportFormat::metrics, "no/such/folder") == ExitCode::failed);
  damage(place / "run/checkpoints/version-00000007.snapshot", 4);
  CHECK(exported(ExportFormat::snapshot, "other") == ExitCode::refused);
  CHECK_FALSE(std::filesystem::exists(place / "other"));
  CHECK(export_run({place.path(), ExportFormat::metrics, {}, {}}) == ExitCode::refused);
}

TEST_CASE("every file of a check is looked at") {
  const auto place = test::TemporaryFolder();
  write_text(place / "good.toml", "[run]\nseed = 3\n");
  write_text(place / "bad.toml", "[run]\nseeed = 3\n");
  const auto good = (place / "good.toml").string();
  CHECK(check_configs({good}) == ExitCode::done);
  CHECK(check_configs({(place / "bad.toml").string(), good}) == ExitCode::refused);
  CHECK(check_configs({good, (place / "none.toml").string()}) == ExitCode::refused);
}
