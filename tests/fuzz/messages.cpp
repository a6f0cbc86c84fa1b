// The values that nodes send each other, as CAF takes them off the wire. The first byte of an input chooses
// the type.
#include <array>
#include <string>

#include "messages/type_ids.hpp"
#include "runtime/status_text.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace fl::fuzz {

namespace {

template <class T>
std::vector<char> encoded(T value) {
  auto buffer = std::vector<char>();
  auto sink = caf::binary_serializer(nullptr, buffer);
  require(!sink(value), "a value can be encoded");
  return buffer;
}

template <class T>
caf::error decode(std::span<const char> bytes, T& value) {
  auto source = caf::binary_deserializer(nullptr, bytes.data(), bytes.size());
  return source(value);
}

/// What is then done with the values that are shown to people: no text of a peer's may steer a terminal.
void check_use(const RunStatus& status) {
  const auto harmless = [](const std::string& text) {
    for (const auto c : text)
      require(c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f),
              "no control characters are shown");
  };
  harmless(status_text(status));
  for (const auto& line : block_lines(status, {40, false, true})) harmless(line);
  (void)plain_line(status);
  (void)progress_of(status);
}
void check_use(const Receipt& receipt) {
  require(!name_of(receipt.code).empty() && !sentence_of(receipt.code).empty(), "every code has a name");
  const auto back = from_caf(to_caf({receipt.code, receipt.text}));
  require(back.code == receipt.code || receipt.code == ec::none, "an error keeps its code");
}
template <class T>
void check_use(const T&) {}

template <class T>
void check(Input input) {
  const auto bytes = std::vector<char>(input.begin(), input.end());
  auto value = T();
  if (decode<T>(bytes, value)) return;
  const auto once = encoded(value);
  // A decoded value takes no more memory than the bytes that came account for.
  require(once.size() <= 2 * bytes.size() + 64, "a message is not larger than what was sent");
  auto again = T();
  require(!decode<T>(once, again), "what was encoded can be decoded");
  require(encoded(again) == once, "a message comes back the same");
  check_use(value);
}

constexpr auto kChecks =
    std::array{check<Bytes>,      check<Hello>,        check<Welcome>,  check<Ready>,   check<Task>,
               check<Assignment>, check<UploadOffer>,  check<Chunk>,    check<Receipt>, check<Evaluation>,
               check<RunStatus>,  check<Introduction>, check<Challenge>};

void run(Input input) {
  if (input.empty()) return;
  kChecks[input.front() % kChecks.size()](input.subspan(1));
}

template <class T>
std::vector<std::uint8_t> example(std::uint8_t choice, const T& value) {
  const auto bytes = encoded(value);
  auto input = std::vector<std::uint8_t>{choice};
  input.insert(input.end(), bytes.begin(), bytes.end());
  return input;
}

std::vector<Seed> seeds() {
  const auto training = TrainingSettings{2,
                                         7,
                                         64,
                                         0.25,
                                         0.875,
                                         true,
                                         1e-4,
                                         "adam",
                                         0.5,
                                         true,
                                         {true, 0.2, 15, 0.3, 0.04, 0.5},
                                         {"oversample", 0.75, 0.999}};
  const auto upload = UploadSettings{"top_k:0.01+int8", 0.9, 3, 0.25};
  const auto task =
      Task{11,   3,  5,         TaskKind::evaluate,  9,    6,        10,     21,       true, 12.5,
           3.25, 77, 1'000'003, 0xfedcba9876543210u, true, training, upload, {0.5, -2}};
  constexpr auto three = std::array{std::byte{0}, std::byte{255}, std::byte{7}};
  return {
      {"bytes", example(0, Bytes(three))},
      {"hello", example(1, Hello{kProtocolVersion, "0.1.0", "client-7", {"nonce", "signature"}})},
      {"welcome", example(2, Welcome{4,
                                     "run",
                                     12,
                                     99,
                                     "flat",
                                     1000,
                                     77,
                                     {"shards", 0.125, 6},
                                     "model",
                                     0.25,
                                     true,
                                     "huber",
                                     "{\"kind\": \"csv\"}"})},
      {"ready", example(3, Ready{600, 60, {1, 2, 3, std::uint64_t{1} << 60}, 99, 4, 98, {10, 0.5, 2}})},
      {"task", example(4, task)},
      {"assignment", example(5, Assignment{Assignment::Kind::task, task, "why", 250})},
      {"offer", example(6, UploadOffer{8, 2, std::uint64_t{1} << 40, 77})},
      {"chunk", example(7, Chunk{8, std::uint64_t{1} << 33, Bytes(three)})},
      {"receipt", example(8, Receipt{8, ec::too_stale, "old", 12, 0.75})},
      {"evaluation", example(9, Evaluation{6, 1000, 0.5, 0.875, {{"f1", 0.75}}})},
      {"status", example(10, RunStatus{"training", "loading", "fedavg",   1,    2,   3,  4,  5,  6.5,
                                       7.5,        0.5,       8.5,        0.75, 9.5, 10, 11, 12, 19,
                                       13.5,       14.5,      "client 3", 15.5, 16,  17, 18})},
      {"introduction", example(11, Introduction{kProtocolVersion, "client-7", "nonce"})},
      {"challenge", example(12, Challenge{"nonce", "key", "signature"})},
  };
}

const auto registration = Registration({"messages", run, seeds});

}  // namespace

}  // namespace fl::fuzz
