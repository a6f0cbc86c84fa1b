// The loader of snapshots: what a damaged disk, or another program, may have left in checkpoints/.
#include "messages/file_source.hpp"
#include "runtime/snapshot_file.hpp"

#include "tests/fuzz/blobs.hpp"
#include "tests/fuzz/envelope_mutator.hpp"
#include "tests/fuzz/scratch_folder.hpp"

namespace fl::fuzz {

namespace {

const ScratchFolder& scratch() {
  static const auto folder = ScratchFolder();
  return folder;
}

SnapshotIdentity identity() {
  return {"flat", "fedbuff", 9};
}

bool same(const Parameters& a, const Parameters& b) {
  return a.size() == b.size() && std::ranges::equal(std::as_bytes(a.values()), std::as_bytes(b.values()));
}

void run(Input input) {
  const auto file = scratch().write("version-00000004.snapshot", input);
  const auto snapshot = read_snapshot(file, expected_layout(), identity());
  if (!snapshot) {
    const auto code = snapshot.error().code;
    require(code == ec::corrupt_data || code == ec::run_folder_refused,
            "a bad snapshot is damaged or another's");
    return;
  }
  const auto& state = snapshot->state;
  require(state.model && state.model->size() == expected_layout()->size(), "a snapshot has a model");
  for (const auto* array : {&state.optimizer_m, &state.optimizer_v, &state.buffer_sum})
    require(array->size() == 0 || array->size() == expected_layout()->size(), "every array fits the model");

  const auto copy = scratch().path() / "copy.snapshot";
  require(write_snapshot(copy, state, snapshot->next_task, identity()).has_value(),
          "a snapshot can be written");
  const auto again = read_snapshot(copy, expected_layout(), identity());
  require(again.has_value(), "what was written can be read");
  require(again->next_task == snapshot->next_task && again->state.version == state.version &&
              same(*again->state.model, *state.model) && same(again->state.optimizer_m, state.optimizer_m) &&
              same(again->state.optimizer_v, state.optimizer_v),
          "a snapshot comes back the same");

  for (const auto optimizer :
       {ServerOptimizerName::none, ServerOptimizerName::momentum, ServerOptimizerName::adam}) {
    auto options = ServerOptimizerOptions();
    options.name = optimizer;
    const auto restored = Aggregation::restore(StrategyOptions(), options, state.clone());
    require(!restored || restored->version() == state.version, "a run goes on from the snapshot's version");
  }
}

std::vector<Seed> seeds() {
  const auto written = [](const AggregationState& state) {
    const auto file = scratch().path() / "seed.snapshot";
    require(write_snapshot(file, state, 100, identity()).has_value(), "a snapshot can be written");
    return bytes_of(**FileSource::open(file));
  };
  return {{"full", written(test::full_state(4))}, {"model", written(test::model_state(4))}};
}

std::size_t mutate(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
  return mutate_envelope(data, size, max_size, seed, 0);
}

const auto registration = Registration({"snapshot", run, seeds, mutate});

}  // namespace

}  // namespace fl::fuzz
