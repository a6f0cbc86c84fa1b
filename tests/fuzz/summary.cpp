// What status and replay read of a run folder: summary.json of a run or a client, and metrics.jsonl.
#include "runtime/summary.hpp"

#include "tests/fuzz/scratch_folder.hpp"

namespace fl::fuzz {

namespace {

std::vector<std::uint8_t> content_of(const std::filesystem::path& file) {
  auto stream = std::ifstream(file, std::ios::binary);
  const auto bytes = std::string(std::istreambuf_iterator<char>(stream), {});
  return {bytes.begin(), bytes.end()};
}

void run(Input input) {
  static const auto scratch = ScratchFolder();
  const auto file = scratch.write("summary.json", input);
  const auto of_run = read_summary(file);
  const auto of_client = read_client_summary(file);
  (void)describe_folder(scratch.path());
  if (of_run) {
    (void)describe(*of_run, {}, "again");
    require(write_summary(file, *of_run).has_value() && read_summary(file).has_value(),
            "a summary comes back");
  }
  if (of_client) {
    (void)describe(*of_client, {});
    require(write_summary(file, *of_client).has_value() && read_client_summary(file).has_value(),
            "a client's summary comes back");
  }
  std::filesystem::remove(file);
  scratch.write("metrics.jsonl", input);
  (void)describe_folder(scratch.path());
  std::filesystem::remove(scratch.path() / "metrics.jsonl");
}

std::vector<Seed> seeds() {
  const auto scratch = ScratchFolder();
  const auto file = scratch.path() / "summary.json";
  auto run = RunSummary();
  run.updates_rejected = {{"too_stale", 3}};
  run.final_accuracy = 0.5;
  require(write_summary(file, run).has_value(), "a summary can be written");
  const auto of_run = content_of(file);
  require(write_summary(file, ClientSummary()).has_value(), "a summary can be written");
  return {{"run", of_run},
          {"client", content_of(file)},
          {"metrics", bytes_of("{\"version\":1,\"time_s\":0.5,\"eval_accuracy\":0.25}\n{\"version\":2}\n")}};
}

const auto registration = Registration({"summary", run, seeds});

}  // namespace

}  // namespace fl::fuzz
