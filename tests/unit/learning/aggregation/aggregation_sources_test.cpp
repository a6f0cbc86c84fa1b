// Folding from memory and from files gives the same bits, and a file that fails falsifies nothing.
#include <doctest/doctest.h>

#include <vector>

#include "learning/aggregation/aggregation.hpp"
#include "learning/kernels.hpp"
#include "learning/random.hpp"
#include "tests/unit/learning/float_sources.hpp"

using namespace fl::testing;
using fl::StrategyName;
using Floats = std::vector<float>;

namespace {

/// More than two blocks of a visit.
constexpr std::size_t kSize = 2 * fl::kernels::kVisitBlock + 77;

Floats random_floats(std::uint64_t seed) {
  auto stream = fl::RandomStream(seed);
  auto values = Floats(kSize);
  for (auto& value : values) value = static_cast<float>(stream.normal());
  return values;
}

constexpr StrategyName kAll[] = {StrategyName::fedavg, StrategyName::fedavg_async, StrategyName::fedasync,
                                 StrategyName::fedasync_delta, StrategyName::fedbuff};

fl::Aggregation aggregation(StrategyName name) {
  auto options = fl::StrategyOptions();
  options.name = name;
  return {options, {.name = fl::ServerOptimizerName::adam}, flat_model(random_floats(99))};
}

fl::Result<void> submit(fl::Aggregation& to, fl::ClientId client, const fl::EncodedArray& payload) {
  const auto facts = fl::UpdateFacts{.client = client, .base = to.version(), .samples = client + 1};
  return to.fold(facts, *to.weigh(facts), payload);
}

fl::EncodedArray failing_at(std::size_t element, const Floats& values) {
  return {std::make_shared<FileLikeSource>(values, element * sizeof(float)), 0, values.size()};
}

}  // namespace

TEST_CASE("folding from a file gives the same bits as from memory, in any mixture") {
  for (const auto name : kAll) {
    CAPTURE(fl::to_string(name));
    auto from_memory = aggregation(name);
    auto mixed = aggregation(name);
    for (int version = 0; version < 2; ++version) {
      for (fl::ClientId client = 0; client < 4; ++client) {
        const auto update = random_floats(client + 10);
        REQUIRE(submit(from_memory, client, in_memory(update)));
        REQUIRE(submit(mixed, client, client == 2 ? in_memory(update) : in_file(update)));
        CHECK(same_bits(from_memory.state().buffer_sum.values(), mixed.state().buffer_sum.values()));
      }
      from_memory.close();
      mixed.close();
      CHECK(same_bits(from_memory.model()->values(), mixed.model()->values()));
    }
  }
}

TEST_CASE("an update may lie anywhere in its source") {
  auto whole = random_floats(1);
  auto padded = Floats(16, -1.0f);
  padded.insert(padded.end(), whole.begin(), whole.end());
  auto direct = aggregation(StrategyName::fedbuff);
  auto offset = aggregation(StrategyName::fedbuff);
  REQUIRE(submit(direct, 0, in_memory(whole)));
  REQUIRE(submit(offset, 0, {std::make_shared<FileLikeSource>(padded), 16 * sizeof(float), kSize}));
  CHECK(same_bits(direct.state().buffer_sum.values(), offset.state().buffer_sum.values()));
}

TEST_CASE("a source that fails leaves no trace, or says that the sum is lost") {
  const auto update = random_floats(2);
  for (const auto name : kAll) {
    for (const int folded_before : {0, 1, 2}) {
      for (const std::size_t fails_at : {std::size_t{1}, fl::kernels::kVisitBlock + 1, kSize - 1}) {
        CAPTURE(fl::to_string(name));
        CAPTURE(folded_before);
        CAPTURE(fails_at);
        auto undisturbed = aggregation(name);
        auto disturbed = aggregation(name);
        for (auto* server : {&undisturbed, &disturbed}) {
          for (int i = 0; i < folded_before; ++i) REQUIRE(submit(*server, 1, in_file(random_floats(7))));
        }

        if (folded_before > 0 && fails_at > fl::kernels::kVisitBlock) {
          CHECK_THROWS_AS((void)submit(disturbed, 5, failing_at(fails_at, update)), std::runtime_error);
          continue;
        }
        const auto failed = submit(disturbed, 5, failing_at(fails_at, update));
        REQUIRE_FALSE(failed);
        CHECK(failed.error().code == fl::ec::io_failed);
        CHECK(disturbed.folded() == static_cast<std::uint64_t>(folded_before));
        CHECK(disturbed.updates_accepted() == undisturbed.updates_accepted());
        CHECK(disturbed.distinct_clients() == undisturbed.distinct_clients());

        for (auto* server : {&undisturbed, &disturbed}) {
          REQUIRE(submit(*server, 2, in_memory(random_floats(8))));
          server->close();
        }
        CHECK(same_bits(disturbed.model()->values(), undisturbed.model()->values()));
      }
    }
  }
}

TEST_CASE("a source shorter than its update claims is refused before the sum is touched") {
  auto server = aggregation(StrategyName::fedbuff);
  REQUIRE(submit(server, 0, in_memory(random_floats(3))));
  const auto before = server.state();
  const auto shorter = Floats(kSize - 1);
  for (const auto& source : {fl::ByteSourcePtr(std::make_shared<FileLikeSource>(shorter)),
                             fl::ByteSourcePtr(std::make_shared<fl::MemorySource>(bytes_of(shorter)))}) {
    const auto failed = submit(server, 1, {source, 0, kSize});
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == fl::ec::corrupt_data);
    CHECK(same_bits(server.state().buffer_sum.values(), before.buffer_sum.values()));
  }
}
