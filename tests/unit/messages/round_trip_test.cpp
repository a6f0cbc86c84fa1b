// Every value that travels comes back as it was; less than all of it is refused.
#include <doctest/doctest.h>

#include <array>
#include <string>
#include <tuple>
#include <vector>

#include "messages/type_ids.hpp"

using namespace fl;

namespace {

// A structured binding names every member, so a member that is added but not here does not compile.
auto fields(const Bytes& x) {
  return std::make_tuple(std::vector<std::byte>(x.view().begin(), x.view().end()));
}
auto fields(const Introduction& x) {
  const auto& [a, b, c] = x;
  return std::tie(a, b, c);
}
auto fields(const Challenge& x) {
  const auto& [a, b, c] = x;
  return std::tie(a, b, c);
}
auto fields(const Proof& x) {
  const auto& [a, b] = x;
  return std::tie(a, b);
}
auto fields(const Hello& x) {
  const auto& [a, b, c, d] = x;
  return std::tuple_cat(std::tie(a, b, c), fields(d));
}
auto fields(const Welcome& x) {
  const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = x;
  return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m);
}
auto fields(const Ready& x) {
  const auto& [a, b, c, d, e, f, g] = x;
  return std::tie(a, b, c, d, e, f, g);
}
auto fields(const Task& x) {
  const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r] = x;
  return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r);
}
auto fields(const Assignment& x) {
  const auto& [a, b, c, d] = x;
  return std::tuple_cat(std::tie(a, c, d), fields(b));
}
auto fields(const UploadOffer& x) {
  const auto& [a, b, c, d] = x;
  return std::tie(a, b, c, d);
}
auto fields(const Chunk& x) {
  const auto& [a, b, c] = x;
  return std::tuple_cat(std::tie(a, b), fields(c));
}
auto fields(const Receipt& x) {
  const auto& [a, b, c, d, e] = x;
  return std::tie(a, b, c, d, e);
}
auto fields(const Evaluation& x) {
  const auto& [a, b, c, d, e] = x;
  return std::tie(a, b, c, d, e);
}
auto fields(const RunStatus& x) {
  const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z] = x;
  return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z);
}

template <class T>
std::vector<char> encoded(T value) {
  auto buffer = std::vector<char>();
  auto sink = caf::binary_serializer(nullptr, buffer);
  REQUIRE_FALSE(sink(value));
  return buffer;
}

/// Copies the bytes first, so that the address sanitizer sees a read of even one byte too many.
template <class T>
caf::error decode(const std::vector<char>& bytes, T& value) {
  const auto exact = std::vector<char>(bytes.begin(), bytes.end());
  auto source = caf::binary_deserializer(nullptr, exact.data(), exact.size());
  return source(value);
}

template <class T>
void check_round_trip(const T& value) {
  const auto bytes = encoded(value);
  auto back = T();
  CHECK_FALSE(decode(bytes, back));
  CHECK(fields(back) == fields(value));
  CHECK_FALSE(fields(T()) == fields(value));  // the example differs from the default, or it shows nothing
  for (auto length = std::size_t{0}; length < bytes.size(); ++length) {
    auto part = T();
    const auto error =
        decode(std::vector<char>(bytes.begin(), bytes.begin() + static_cast<long>(length)), part);
    CHECK_MESSAGE(error, "cut to " << length << " of " << bytes.size() << " bytes");
  }
}

Task example_task() {
  auto training = TrainingSettings{2,
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
  auto upload = UploadSettings{"top_k:0.01+int8", 0.9, 3, 0.25};
  return {11,   3,  5,         TaskKind::evaluate,  9,    6,        10,     21,       true, 12.5,
          3.25, 77, 1'000'003, 0xfedcba9876543210u, true, training, upload, {0.5, -2}};
}

Bytes example_bytes() {
  const auto bytes = std::array{std::byte{0}, std::byte{255}, std::byte{7}};
  return Bytes(bytes);
}

}  // namespace

TEST_CASE("every value that travels comes back as it was") {
  check_round_trip(example_bytes());
  check_round_trip(Introduction{9, "client-7", "nonce"});
  check_round_trip(Challenge{"nonce", "key", "signature"});
  check_round_trip(Hello{9, "0.1.0", "client-7", {"nonce", "signature"}});
  check_round_trip(Welcome{4,
                           "run",
                           12,
                           99,
                           "flat",
                           1000,
                           0x1234567890abcdefu,
                           {"shards", 0.125, 6},
                           "model",
                           0.25,
                           true,
                           "huber",
                           "{\"kind\": \"csv\"}"});
  check_round_trip(Ready{600, 60, {1, 2, 3, std::uint64_t{1} << 60}, 99, 4, 98, {10, 0.5, 2}});
  check_round_trip(example_task());
  check_round_trip(Assignment{Assignment::Kind::task, example_task(), "why", 250});
  check_round_trip(UploadOffer{8, 2, std::uint64_t{1} << 40, 77});
  check_round_trip(Chunk{8, std::uint64_t{1} << 33, example_bytes()});
  check_round_trip(Receipt{8, ec::too_stale, "old", 12, 0.75});
  check_round_trip(Evaluation{6, 1000, 0.5, 0.875, {{"f1", 0.75}}});
  check_round_trip(RunStatus{"training", "loading", "fedavg",   1,    2,   3,  4,  5,  6.5,
                             7.5,        0.5,       8.5,        0.75, 9.5, 10, 11, 12, 19,
                             13.5,       14.5,      "client 3", 15.5, 16,  17, 18});
}

TEST_CASE("a number travels as it is, one that has diverged too") {
  using Limits = std::numeric_limits<double>;
  for (const auto number : {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(),
                            Limits::denorm_min(), Limits::max(), -0.0}) {
    auto back = Evaluation();
    CHECK_FALSE(decode(encoded(Evaluation{1, 2, number, 0.5}), back));
    CHECK(std::bit_cast<std::uint64_t>(back.loss) == std::bit_cast<std::uint64_t>(number));
    CHECK(back.accuracy == 0.5);
  }
}

TEST_CASE("no bytes are bytes too") {
  auto back = example_bytes();
  CHECK_FALSE(decode(encoded(Bytes()), back));
  CHECK(back.size() == 0);
}

TEST_CASE("a claimed length takes no memory before the bytes are seen") {
  // Four bytes that claim 4 GiB, then three bytes.
  const auto bytes = std::vector<char>{'\xff', '\xff', '\xff', '\xff', 1, 2, 3};
  auto value = Bytes();
  CHECK(decode(bytes, value));
  CHECK(value.size() == 0);

  auto ready = encoded(Ready{1, 2, {}});
  ready.resize(16);  // all that stands before the histogram's length, a variable-length number
  for (const auto byte : {'\xff', '\xff', '\xff', '\xff', '\x0f'}) ready.push_back(byte);
  auto histogram = Ready();
  CHECK(decode(ready, histogram));
  CHECK(histogram.label_histogram.capacity() < 1000);
}

TEST_CASE("a message of bytes is shown by its length, not by its content") {
  CHECK(caf::deep_to_string(example_bytes()).find('3') != std::string::npos);
}
