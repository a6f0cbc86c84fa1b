// A model as a client puts it together. An input is the blob as the server sends it, then eight bytes:
// whether a hash is given, how far the announced size is from the true one, and where to cut.
#include "learning/downloads.hpp"
#include "tests/fuzz/blobs.hpp"
#include "tests/fuzz/envelope_mutator.hpp"

namespace fl::fuzz {

namespace {

constexpr std::size_t kTrailer_bytes = 8;

/// What the client holds already.
const ParametersPtr& held() {
  static const auto parameters = std::make_shared<const Parameters>(test::counting(expected_layout(), 3));
  return parameters;
}

/// The blob that leads from `held` to the example's model under a download codec.
std::vector<std::uint8_t> change(const char* codec, bool from_held) {
  const auto options = parse_download_codec(codec).value();
  auto downloads = Downloads(options);
  const auto before = std::make_shared<const PublishedModel>(6, held());
  const auto after = std::make_shared<const PublishedModel>(
      7, std::make_shared<const Parameters>(test::counting(expected_layout(), 1)));
  downloads.add(before, nullptr);
  auto delta = VersionDeltaPtr();
  if (options.lossy.is_lossy())
    delta = std::make_shared<const VersionDelta>(VersionDelta{
        options.lossy,
        encode_array(options.lossy, *expected_layout(), after->parameters().value()->values(), 1).value()});
  downloads.add(after, delta);
  return bytes_of(*downloads.get(after, 6, from_held ? values_hash_of(*held()) : 0).value().blob);
}

/// `cuts`: lengths of the parts, in turn; 0: all at once.
Result<ParametersPtr> receive(Input blob, std::uint64_t size, std::uint64_t hash, Input cuts) {
  auto receiver = ModelReceiver(expected_layout(), size, hash);
  auto bytes = std::as_bytes(blob);
  for (std::size_t turn = 0; !bytes.empty(); ++turn) {
    const auto cut = cuts.empty() ? std::size_t{0} : std::size_t{cuts[turn % cuts.size()]};
    const auto part = bytes.first(cut == 0 ? bytes.size() : std::min(cut, bytes.size()));
    if (auto ok = receiver.add(part); !ok) return tl::unexpected(ok.error());
    require(receiver.received() <= size, "no more is received than was announced");
    bytes = bytes.subspan(part.size());
  }
  const auto complete = receiver.complete();
  auto model = receiver.finish(held());
  require(complete || !model.has_value(), "a model that is not whole is refused");
  return model;
}

void run(Input input) {
  if (input.size() < kTrailer_bytes) return;
  const auto blob = input.first(input.size() - kTrailer_bytes);
  const auto trailer = input.last(kTrailer_bytes);
  const auto true_hash = hash_of(std::as_bytes(blob));
  const auto hash = trailer[0] % 3 == 0 ? true_hash : trailer[0] % 3 == 1 ? 0 : true_hash ^ 1;
  const auto size =
      blob.size() + static_cast<std::uint64_t>(std::int64_t{static_cast<std::int8_t>(trailer[1])});

  const auto model = receive(blob, size, hash, trailer.subspan(2));
  const auto at_once = receive(blob, size, hash, {});
  require(model.has_value() == at_once.has_value(), "a model is as good in parts as at once");
  if (!model) return;
  require(size == blob.size() && (hash == 0 || hash == true_hash),
          "a model that was taken is the one announced");
  require((*model)->layout() == expected_layout(), "a model fits the client's");
  const auto numbers = (*model)->bytes().first(expected_layout()->size_bytes());
  const auto header = decode_header(*in_memory(blob)).value();
  if (header.envelope.sections.front().codec == "none" &&
      header.envelope.sections.front().name == "parameters") {
    const auto sent = std::as_bytes(blob.subspan(header.payload_offset));
    require(sent.size() == numbers.size() && std::ranges::equal(numbers, sent),
            "the numbers are those that were sent");
  }
  require(std::ranges::equal(numbers, (*at_once)->bytes().first(numbers.size())),
          "parts do not change the numbers");
}

std::vector<Seed> seeds() {
  const auto coded = [](std::vector<std::uint8_t> input) {
    input.insert(input.end(), {1, 0, 7, 64, 1, 200, 3, 90});
    return input;
  };
  const auto with = [](std::vector<std::uint8_t> trailer) {
    auto input = example_model();
    input.insert(input.end(), trailer.begin(), trailer.end());
    return input;
  };
  return {{"at-once", with({0, 0, 0, 0, 0, 0, 0, 0})},
          {"in-parts", with({1, 0, 1, 16, 63, 1, 64, 200})},
          {"damaged", with({2, 0, 50, 50, 50, 50, 50, 50})},
          {"planes", coded(change("xor", false))},
          {"xor", coded(change("xor", true))},
          {"delta", coded(change("top_k:0.3+int8", true))},
          {"delta-zstd", coded(change("int8+zstd", true))}};
}

std::size_t mutate(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
  return mutate_envelope(data, size, max_size, seed, kTrailer_bytes);
}

const auto registration = Registration({"download", run, seeds, mutate});

}  // namespace

}  // namespace fl::fuzz
