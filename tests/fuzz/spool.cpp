// A client's spooled update, which a crash may have left in any state.
#include "runtime/client_spool.hpp"
#include "tests/fuzz/blobs.hpp"
#include "tests/fuzz/envelope_mutator.hpp"
#include "tests/fuzz/scratch_folder.hpp"

namespace fl::fuzz {

namespace {

void run(Input input) {
  static const auto scratch = ScratchFolder();
  static const auto spool = FileSpool::open(scratch.path(), true).value();
  const auto file = scratch.write("spool/run.update", input);
  const auto update = spool->load("run");
  require(std::filesystem::exists(file) == update.has_value(), "what cannot be used is removed");
  if (!update) return;
  require(std::ranges::equal(bytes_of(*update->blob), input), "what was spooled is what is sent");
  const auto decoded = decode_header(*update->blob);
  require(decoded.has_value() && std::get<UpdateInfo>(decoded->envelope.content).task == update->info.task,
          "a spooled update answers the task that it says");
}

std::vector<Seed> seeds() {
  return {
      {"update", example_update(false)}, {"evaluation", example_evaluation()}, {"model", example_model()}};
}

std::size_t mutate(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
  return mutate_envelope(data, size, max_size, seed, 0);
}

const auto registration = Registration({"spool", run, seeds, mutate});

}  // namespace

}  // namespace fl::fuzz
