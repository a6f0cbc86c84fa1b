#include "learning/aggregation/validation.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "tests/support/small_state.hpp"

using namespace fl;

namespace {

constexpr auto kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr auto kInfinity = std::numeric_limits<double>::infinity();

UpdateExpectation expectation() {
  auto expected = UpdateExpectation();
  expected.layout = test::small_layout();
  expected.task = 7;
  expected.epoch = 2;
  expected.client = 3;
  expected.base = 5;
  expected.max_samples = 100;
  expected.max_validation_samples = 20;
  return expected;
}

UpdateInfo good() {
  return {7, 2, 3, 5, 100, 4, 0.5, 1.5, {5, 20, 0.25, 0.75}};
}

ByteSourcePtr blob_of(UpdateBlob blob) {
  return std::make_shared<const MemorySource>(std::move(blob.buffer));
}

/// A blob whose values are all `value`.
ByteSourcePtr filled(const UpdateInfo& info, float value = 2, bool whole_model = false) {
  auto blob = make_update_blob(info, *test::small_layout(), whole_model);
  std::ranges::fill(blob.values(), value);
  return blob_of(std::move(blob));
}

ec code_of(const ByteSourcePtr& blob, const UpdateExpectation& expected = expectation()) {
  const auto update = validate_update(blob, expected);
  return update ? ec::none : update.error().code;
}

/// What is said of a good update that says this one thing else.
template <class Change>
ec code_with(Change change) {
  auto info = good();
  change(info);
  return code_of(filled(info));
}

}  // namespace

TEST_CASE("a good update is taken with its numbers, norm and size") {
  const auto blob = filled(good());
  const auto update = validate_update(blob, expectation());
  REQUIRE(update);
  CHECK(update->info.samples == 100);
  CHECK(update->info.base_evaluation.accuracy == 0.75);
  CHECK(update->payload.values == 29);
  CHECK(update->payload.offset % 64 == 0);
  CHECK(update->norm == doctest::Approx(2 * std::sqrt(29.0)));
  CHECK(update->encoded_bytes == blob->size());
  auto value = 0.0f;
  REQUIRE(update->payload.source->read(update->payload.offset + 28 * 4,
                                       std::as_writable_bytes(std::span(&value, 1))));
  CHECK(value == 2);
}

TEST_CASE("an update must answer the lease") {
  CHECK(code_with([](auto& info) { info.task = 8; }) == ec::unknown_lease);
  CHECK(code_with([](auto& info) { info.epoch = 1; }) == ec::unknown_lease);
  CHECK(code_with([](auto& info) { info.client = 2; }) == ec::unknown_lease);
  CHECK(code_with([](auto& info) { info.base = 4; }) == ec::unknown_lease);
}

TEST_CASE("an update must not claim what cannot be") {
  CHECK(code_with([](auto& info) { info.samples = 0; }) == ec::bad_claim);
  CHECK(code_with([](auto& info) { info.samples = 101; }) == ec::bad_claim);
  CHECK(code_with([](auto& info) { info.samples = 1; }) == ec::none);
  for (const auto value : {kNaN, kInfinity, -kInfinity}) {
    CHECK(code_with([&](auto& info) { info.train_loss = value; }) == ec::bad_claim);
    CHECK(code_with([&](auto& info) { info.train_seconds = value; }) == ec::bad_claim);
    CHECK(code_with([&](auto& info) { info.base_evaluation.loss = value; }) == ec::bad_claim);
    CHECK(code_with([&](auto& info) { info.base_evaluation.accuracy = value; }) == ec::bad_claim);
  }
  CHECK(code_with([](auto& info) { info.train_seconds = -1; }) == ec::bad_claim);
  CHECK(code_with([](auto& info) { info.base_evaluation.accuracy = 1.01; }) == ec::bad_claim);
  CHECK(code_with([](auto& info) { info.base_evaluation.accuracy = -0.01; }) == ec::bad_claim);
  CHECK(code_with([](auto& info) { info.base_evaluation.samples = 21; }) == ec::bad_claim);
  CHECK(code_with([](auto& info) { info.base_evaluation.version = 6; }) == ec::bad_claim);
}

TEST_CASE("an update's numbers must be finite, all of them") {
  for (const auto value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    CHECK(code_of(filled(good(), value)) == ec::not_finite);
    for (auto place = std::size_t{0}; place < 29; ++place) {
      auto blob = make_update_blob(good(), *test::small_layout(), false);
      std::ranges::fill(blob.values(), 1.0f);
      blob.values()[place] = value;
      CHECK(code_of(blob_of(std::move(blob))) == ec::not_finite);
    }
  }
}

TEST_CASE("an update must be of the model, whole, and of the kind that the strategy takes") {
  auto expected = expectation();
  CHECK(code_of(filled(good(), 2, true), expected) == ec::wrong_length);
  expected.whole_model = true;
  CHECK(code_of(filled(good(), 2, true), expected) == ec::none);
  CHECK(code_of(filled(good(), 2, false), expected) == ec::wrong_length);
  CHECK(code_of(blob_of(make_evaluation_blob(good(), *test::small_layout()))) == ec::wrong_length);

  auto other = Layout();
  other.add("weight", {29});
  auto of_other = make_update_blob(good(), other, false);
  std::ranges::fill(of_other.values(), 1.0f);
  CHECK(code_of(blob_of(std::move(of_other))) == ec::layout_mismatch);

  // The right fingerprint, but fewer values than it stands for.
  auto envelope = Envelope();
  envelope.layout_fingerprint = test::small_layout()->fingerprint();
  envelope.content = good();
  envelope.sections = {{"delta", "none", 0, 28 * 4, 28, 0}};
  const auto header = encode_header(envelope);
  auto short_one = AlignedBuffer(header.size() + 28 * 4);
  std::memset(short_one.data(), 0, short_one.size());
  std::memcpy(short_one.data(), header.data(), header.size());
  CHECK(code_of(std::make_shared<const MemorySource>(std::move(short_one))) == ec::wrong_length);
}

TEST_CASE("bytes that are no update are refused") {
  auto garbage = AlignedBuffer(500);
  std::memset(garbage.data(), 'x', garbage.size());
  CHECK(code_of(std::make_shared<const MemorySource>(std::move(garbage))) == ec::corrupt_data);
  CHECK(code_of(std::make_shared<const MemorySource>(AlignedBuffer())) == ec::corrupt_data);
  auto envelope = Envelope();
  envelope.content = ModelInfo{1};
  const auto header = encode_header(envelope);
  auto model = AlignedBuffer(header.size());
  std::memcpy(model.data(), header.data(), header.size());
  CHECK(code_of(std::make_shared<const MemorySource>(std::move(model))) == ec::corrupt_data);
  const auto whole = filled(good());
  for (auto length = std::uint64_t{0}; length < whole->size(); length += 7)
    CHECK(code_of(std::make_shared<const SubSource>(whole, 0, length)) == ec::corrupt_data);
}

TEST_CASE("an answer that only evaluates needs no numbers and no samples, but a version and a count") {
  auto expected = expectation();
  expected.evaluation_only = true;
  auto info = good();
  info.samples = 0;
  const auto update = validate_update(blob_of(make_evaluation_blob(info, *test::small_layout())), expected);
  REQUIRE(update);
  CHECK(update->payload.source == nullptr);
  CHECK(update->info.base_evaluation.loss == 0.25);
  info.base_evaluation.samples = 21;
  CHECK(code_of(blob_of(make_evaluation_blob(info, *test::small_layout())), expected) == ec::bad_claim);
}

TEST_CASE("an update longer than the limit is refused; at the limit it is taken") {
  auto expected = expectation();
  const auto norm = validate_update(filled(good()), expected)->norm;
  expected.max_norm = norm;
  CHECK(code_of(filled(good()), expected) == ec::none);
  expected.max_norm = 0.999 * norm;
  CHECK(code_of(filled(good()), expected) == ec::norm_too_large);
  CHECK(code_of(filled(good(), -2), expected) == ec::norm_too_large);
  CHECK(code_of(filled(good(), std::numeric_limits<float>::max()), expected) == ec::norm_too_large);
}

TEST_CASE("an update knows whose work it answers") {
  auto expected = expectation();
  expected.owner = 9;
  expected.work = 4;
  const auto update = validate_update(filled(good()), expected);
  REQUIRE(update);
  CHECK(update->owner == 9);
  CHECK(update->work == 4);
}

TEST_CASE("the samples of all classes are the samples") {
  CHECK(check_ready({10, 0, {}}));
  CHECK(check_ready({10, 0, {3, 0, 7}}));
  CHECK(check_ready({0, 0, {0, 0}}));
  for (const auto& histogram : {std::vector<std::uint64_t>{3, 6}, {3, 8}, {11}, {~std::uint64_t{0}, 11}})
    CHECK(check_ready({10, 0, histogram}).error().code == ec::bad_claim);
  auto many = std::vector<std::uint64_t>(kMaxClasses);
  many.back() = 10;
  CHECK(check_ready({10, 0, many}));
  many.push_back(0);
  CHECK(check_ready({10, 0, many}).error().code == ec::bad_claim);
}
