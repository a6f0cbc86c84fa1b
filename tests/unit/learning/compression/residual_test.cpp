#include "learning/compression/residual.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "runtime/client_residuals.hpp"
#include "tests/support/small_state.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/learning/float_sources.hpp"

using namespace fl;

namespace {

Parameters delta_of(std::vector<float> values) {
  return testing::model_of(testing::flat_layout(values.size()), values)->clone();
}

EncodedArray sent(const PreparedUpload& upload, std::size_t size) {
  auto buffer = AlignedBuffer(upload.bytes.size());
  copy_bytes(upload.bytes.span(), buffer.data());
  return {std::make_shared<const MemorySource>(std::move(buffer)), 0, size, upload.bytes.size(),
          upload.codec};
}

std::vector<float> values_of(const Parameters& parameters) {
  return {parameters.values().begin(), parameters.values().end()};
}

UploadSettings settings_of(const char* codec) {
  auto settings = UploadSettings();
  settings.codec = codec;
  return settings;
}

}  // namespace

TEST_SUITE("residual") {
  TEST_CASE("what top-k leaves out is sent later; after a refusal all of it is left") {
    const auto settings = settings_of("top_k:0.25");
    const auto first = prepare_upload(settings, delta_of({4, 1, -2, 3}), nullptr, 1).value();
    CHECK(values_of(first.after->unsent) == std::vector<float>{0, 1, -2, 3});
    const auto second = prepare_upload(settings, delta_of({1, 0, -2, 0}), first.after, 2).value();
    CHECK(values_of(second.after->unsent) == std::vector<float>{1, 1, 0, 3});  // −4 was sent
    const auto refused = after_refusal(*second.after, sent(second, 4)).value();
    CHECK(values_of(refused->unsent) == std::vector<float>{1, 1, -4, 3});
  }

  TEST_CASE("unbiased codecs leave nothing, and keep nothing") {
    for (const auto* codec : {"none", "int8", "qsgd", "random_k:0.5"})
      CHECK(prepare_upload(settings_of(codec), delta_of({1, 2, 3}), nullptr, 1).value().after == nullptr);
  }

  TEST_CASE("momentum correction: velocities add up, and end where something was sent") {
    auto settings = settings_of("top_k:0.25");
    settings.momentum = 0.5;
    const auto first = prepare_upload(settings, delta_of({4, 1, 0, 0}), nullptr, 1).value();
    CHECK(values_of(first.after->velocity) == std::vector<float>{0, 1, 0, 0});
    CHECK(values_of(first.after->unsent) == std::vector<float>{0, 1, 0, 0});
    const auto second = prepare_upload(settings, delta_of({0, 1, 0, 2}), first.after, 2).value();
    // u = 0.5 · {0, 1, 0, 0} + {0, 1, 0, 2}; p = {0, 1, 0, 0} + u
    CHECK(values_of(second.after->velocity) == std::vector<float>{0, 0, 0, 2});
    CHECK(values_of(second.after->unsent) == std::vector<float>{0, 0, 0, 2});
  }

  TEST_CASE("small deltas wait, for so many tasks and no longer, and none of them is lost") {
    for (const auto* codec : {"none", "int8", "top_k:1"}) {
      auto settings = settings_of(codec);
      settings.max_idle_deltas = 2;
      settings.idle_below = 0.5;
      auto upload = prepare_upload(settings, delta_of({8, 8}), nullptr, 1).value();
      CHECK_FALSE(upload.left_out);
      auto after = upload.after;
      for (const auto left_out : {true, true, false}) {
        upload = prepare_upload(settings, delta_of({1, 1}), after, 2).value();
        CHECK(upload.left_out == left_out);
        after = upload.after;
      }
      auto arrived = std::vector<float>(2);
      REQUIRE(decode_array(sent(upload, 2), arrived));
      CHECK(arrived[0] == doctest::Approx(3));
      CHECK(after->idle_deltas == 0);
    }
  }

  TEST_CASE("what is no number is not kept") {
    const auto upload = prepare_upload(settings_of("top_k:0.5"),
                                       delta_of({1, std::numeric_limits<float>::quiet_NaN()}), nullptr, 1);
    CHECK(upload.error().code == ec::not_finite);
  }

  TEST_CASE("residuals in files survive the process, as what the update's fate makes of them") {
    const auto folder = test::TemporaryFolder();
    const auto layout = test::small_layout();
    const auto residual = [&](float first) {
      auto made = std::make_shared<Residual>();
      made->unsent = test::counting(layout, first);
      made->velocity = test::counting(layout, 2 * first);
      made->sent_norm = first;
      made->idle_deltas = 3;
      return ResidualPtr(made);
    };
    const auto reopened = [&] {
      auto store = FileResiduals(folder.path());
      store.select("run-0");
      return store;
    };
    const auto first_of = [&](FileResiduals store) {
      const auto current = store.current(layout).value();
      return current ? current->unsent.values()[0] : -1;
    };
    CHECK(first_of(reopened()) == -1);
    auto store = reopened();
    REQUIRE(store.propose(7, residual(1)));
    CHECK(first_of(reopened()) == -1);  // not accepted yet
    store = reopened();
    CHECK(store.proposal(8, layout).value() == nullptr);
    const auto proposed = store.proposal(7, layout).value();
    REQUIRE(proposed);
    CHECK(test::same_values(proposed->velocity, test::counting(layout, 2)));
    CHECK(proposed->sent_norm == 1);
    CHECK(proposed->idle_deltas == 3);
    REQUIRE(store.accept(8));  // of another task: nothing
    CHECK(first_of(reopened()) == -1);
    store = reopened();
    REQUIRE(store.accept(7));  // without having been read
    CHECK(first_of(reopened()) == 1);
    REQUIRE(store.accept(7));  // heard twice
    REQUIRE(store.propose(9, residual(5)));
    REQUIRE(store.replace(residual(6)));
    CHECK(first_of(reopened()) == 6);
    CHECK(reopened().proposal(9, layout).value() == nullptr);
    REQUIRE(store.replace(nullptr));
    CHECK(first_of(reopened()) == -1);

    REQUIRE(store.replace(residual(6)));
    auto other = FileResiduals(folder.path());
    other.select("run-1");
    CHECK(other.current(layout).value() == nullptr);
    CHECK(first_of(reopened()) == -1);  // it was of another run
  }

  TEST_CASE("a damaged residual is said to be, and then nothing is left") {
    const auto folder = test::TemporaryFolder();
    test::write_text(folder / "run-0.residual", "no residual");
    auto store = FileResiduals(folder.path());
    store.select("run-0");
    CHECK_FALSE(store.current(test::small_layout()));
    CHECK(store.current(test::small_layout()).value() == nullptr);
  }
}
