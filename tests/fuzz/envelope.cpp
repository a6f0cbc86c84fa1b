// The envelope of models, updates and snapshots, and what a session checks before an update may touch the
// model.
#include "messages/envelope.hpp"

#include <cmath>

#include "tests/fuzz/blobs.hpp"
#include "tests/fuzz/envelope_mutator.hpp"

namespace fl::fuzz {

namespace {

/// What is decoded is what was claimed, lies where it can be read, and comes back the same when encoded
/// again.
void check_header(const DecodedHeader& decoded, const ByteSource& blob) {
  require(decoded.payload_offset <= blob.size(), "the header lies within the blob, with its padding");
  const auto payload_bytes = blob.size() - decoded.payload_offset;
  for (const auto& section : decoded.envelope.sections) {
    require(section.offset % 64 == 0, "sections are aligned");
    require(section.offset <= payload_bytes && section.size_bytes <= payload_bytes - section.offset,
            "sections lie within the blob");
    if (section.codec == "none")
      require(section.values * sizeof(float) == section.size_bytes,
              "sections are as long as their values need");
    auto bytes = std::vector<std::byte>(section.size_bytes);
    require(blob.read(decoded.payload_offset + section.offset, bytes).has_value(), "sections can be read");
  }
  const auto& layout = decoded.envelope.layout;
  auto floats = std::uint64_t{0};
  for (const auto& entry : layout.entries()) {
    require(entry.offset == floats, "tensors lie one behind the other");
    floats += entry.size;
  }
  require(floats == layout.size(), "the layout is as long as its tensors");

  const auto header = encode_header(decoded.envelope);
  auto again = AlignedBuffer(header.size() + payload_bytes);
  std::ranges::copy(header, again.data());
  std::fill(again.data() + header.size(), again.data() + again.size(), std::byte{0});
  const auto decoded_again = decode_header(MemorySource(std::move(again)));
  require(decoded_again.has_value(), "an encoded header can be decoded");
  require(encode_header(decoded_again->envelope) == header, "a header comes back the same");
}

void check_update(const ByteSourcePtr& blob, const UpdateExpectation& expected) {
  const auto update = validate_update(blob, expected);
  const auto in_parts = validate_update(std::make_shared<const PartsSource>(blob), expected);
  require(update.has_value() == in_parts.has_value(), "an update is as valid in a file as in memory");
  if (!update) {
    require(update.error().code == in_parts.error().code, "an update is refused alike from a file");
    return;
  }
  require(update->norm == in_parts->norm, "an update has the same norm in a file");
  require(std::isfinite(update->norm) && update->norm >= 0, "a valid update has a norm");
  require(update->info.task == expected.task && update->info.client == expected.client &&
              update->info.base == expected.base && update->info.epoch == expected.epoch,
          "a valid update answers its lease");
  if (expected.evaluation_only) return;
  require(update->info.samples > 0 && update->info.samples <= expected.max_samples,
          "no more samples than were declared");
  const auto& payload = update->payload;
  require(payload.values == expected.layout->size(), "a valid update is as long as the model");
  auto values = std::vector<float>(payload.values);
  require(decode_array(payload, values).has_value(), "a valid update can be read");
  auto sum = std::vector<float>(payload.values);
  require(add_decoded(payload, 1, sum).has_value() && std::ranges::equal(sum, values),
          "a valid update is folded as it is decoded, each value once");
  require(std::ranges::all_of(values, [](float value) { return std::isfinite(value); }),
          "a valid update is finite");
  const auto located = locate_payload(blob, *expected.layout, expected.whole_model);
  require(located.has_value() && located->offset == payload.offset && located->values == payload.values,
          "a valid update is found again");
}

void run(Input input) {
  const auto blob = in_memory(input);
  const auto decoded = decode_header(*blob);
  const auto beginning = header_size(std::as_bytes(input.first(std::min<std::size_t>(input.size(), 16))));
  const auto lease = example_info();
  auto expected = UpdateExpectation();
  expected.layout = expected_layout();
  expected.max_samples = lease.samples;
  expected.max_validation_samples = lease.base_evaluation.samples;
  const auto answers = [&](const UpdateInfo& info) {
    expected.task = info.task;
    expected.epoch = info.epoch;
    expected.client = info.client;
    expected.base = info.base;
    for (const auto whole_model : {false, true}) {
      expected.whole_model = whole_model;
      expected.evaluation_only = false;
      check_update(blob, expected);
      (void)locate_payload(blob, *expected.layout, whole_model);
    }
    expected.evaluation_only = true;
    check_update(blob, expected);
  };
  answers(lease);
  if (!decoded) return;
  require(beginning.has_value() && *beginning == decoded->payload_offset,
          "the beginning tells the header's size");
  check_header(*decoded, *blob);
  if (const auto* info = std::get_if<UpdateInfo>(&decoded->envelope.content)) answers(*info);
}

std::vector<Seed> seeds() {
  return {{"update", example_update(false)},
          {"whole-model-update", example_update(true)},
          {"int8", coded_update("int8")},
          {"int4", coded_update("int4")},
          {"qsgd", coded_update("qsgd:3")},
          {"sign", coded_update("sign")},
          {"fp16", coded_update("fp16")},
          {"bf16-zstd", coded_update("bf16+zstd:1")},
          {"top-k", coded_update("top_k:0.3")},
          {"top-k-int8-zstd", coded_update("top_k:0.3+int8+zstd")},
          {"random-k", coded_update("random_k:0.3")},
          {"prune", coded_update("prune+int8")},
          {"evaluation", example_evaluation()},
          {"model", example_model()}};
}

std::size_t mutate(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
  return mutate_envelope(data, size, max_size, seed, 0);
}

const auto registration = Registration({"envelope", run, seeds, mutate});

}  // namespace

}  // namespace fl::fuzz
