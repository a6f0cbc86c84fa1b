// What inspect says of a file of anybody's: an envelope of any kind, or safetensors.
#include "messages/file_source.hpp"
#include "runtime/file_report.hpp"
#include "runtime/safetensors.hpp"
#include "runtime/snapshot_file.hpp"

#include "tests/fuzz/blobs.hpp"
#include "tests/fuzz/envelope_mutator.hpp"
#include "tests/fuzz/scratch_folder.hpp"

namespace fl::fuzz {

namespace {

const ScratchFolder& inspected() {
  static const auto folder = ScratchFolder();
  return folder;
}

void run(Input input) {
  const auto file = inspected().write("file", input);
  const auto report = describe_model_file(file);
  if (!report) {
    require(report.error().code == ec::corrupt_data || report.error().code == ec::unsupported_format,
            "a bad file is damaged or of a newer program");
    require(report.error().text.starts_with(file.string()), "what is said of a bad file names it");
    return;
  }
  require(!report_text(*report).empty(), "people are told something");
  require(Report::accept(report_json(*report)), "programs are given JSON");
}

std::vector<Seed> seeds() {
  const auto file = inspected().path() / "seed";
  const auto content = [&] { return bytes_of(**FileSource::open(file)); };
  require(write_snapshot(file, test::full_state(4), 100, {"flat", "fedbuff", 9}).has_value(),
          "a snapshot can be written");
  const auto snapshot = content();
  require(write_safetensors(*test::full_state(4).model, {{"format", "pt"}}, file).has_value(),
          "safetensors can be written");
  return {{"snapshot", snapshot}, {"safetensors", content()}};
}

std::size_t mutate(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
  // Nothing of safetensors belongs to an envelope.
  const auto is_envelope = text_of({data, size}).starts_with("FLACTOR");
  return mutate_envelope(data, size, max_size, seed, is_envelope ? 0 : size);
}

const auto registration = Registration({"inspect", run, seeds, mutate});

}  // namespace

}  // namespace fl::fuzz
