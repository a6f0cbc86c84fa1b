#include "learning/data/standardisation.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "learning/random.hpp"

using namespace fl;

namespace {

constexpr auto kMissing = std::numeric_limits<float>::quiet_NaN();

DataView table(std::vector<float> values, std::int64_t columns) {
  const auto rows = values.size() / static_cast<std::size_t>(columns);
  return DataView::all(std::make_shared<const Dataset>(std::vector{columns}, 2, std::move(values),
                                                       std::vector<std::int64_t>(rows, 0)));
}

Survey survey_of(std::uint32_t clients, Standardisation* saved = nullptr) {
  return {{true}, clients, {}, [saved](const Standardisation& how) {
            if (saved != nullptr) *saved = how;
            return Result<void>();
          }};
}

}  // namespace

TEST_CASE("the sums of many clients give the mean and deviation of all rows together") {
  auto random = RandomStream(7);
  auto all = std::vector<float>();
  auto sum = Moments(6);
  for (auto client = 0; client < 20; ++client) {
    auto own = std::vector<float>();
    for (auto row = std::uint64_t{0}; row < 5 + random.below(60); ++row) {
      own.push_back(static_cast<float>(1e6 + client + random.normal()));  // a mean far above the deviation
      own.push_back(random.below(10) == 0 ? kMissing : static_cast<float>(random.normal() * client));
    }
    all.insert(all.end(), own.begin(), own.end());
    const auto moments = moments_of(table(own, 2), {true, true});
    add_moments(sum, moments);
  }
  const auto pooled = standardisation_of(moments_of(table(all, 2), {true, true}));
  const auto federated = standardisation_of(sum);
  REQUIRE(federated.size() == 4);
  for (auto i = std::size_t{0}; i < 4; ++i) CHECK(federated[i] == doctest::Approx(pooled[i]).epsilon(1e-9));

  const auto scaled = standardised(table(all, 2), federated);
  const auto after = moments_of(scaled, {true, true});
  CHECK(after[1] == doctest::Approx(0).epsilon(1e-3));
  CHECK(std::sqrt(after[2] / after[0]) == doctest::Approx(1).epsilon(1e-3));
}

TEST_CASE("missing values become the mean, categories stay, and constants are only shifted") {
  const auto data = table({1, 1, 5, 3, 0, 5, kMissing, 1, 5, 1, 1, 5, 3, 0, 5, 1, 1, 5, 3, 0, 5}, 3);
  const auto how = standardisation_of(moments_of(data, {true, false, true}));
  CHECK(how == Standardisation{2, 1, 0, 1, 5, 1});
  const auto scaled = standardised(data, how);
  auto values = std::vector<float>(scaled.size() * 3);
  scaled.dataset->gather_features(scaled.rows, values);
  CHECK(values == std::vector<float>{-1, 1, 0, 1, 0, 0, 0, 1, 0, -1, 1, 0, 1, 0, 0, -1, 1, 0, 1, 0, 0});
}

TEST_CASE("an input of which a client has too few values is kept to itself") {
  auto values = std::vector<float>(kMinimumValues - 1, 3.0F);
  values.push_back(kMissing);
  CHECK(moments_of(table(values, 1), {true}) == Moments{0, 0, 0});
  values.push_back(3);
  CHECK(moments_of(table(values, 1), {true})[0] == kMinimumValues);
}

TEST_CASE("a survey waits for its clients, then says the same for ever") {
  auto saved = Standardisation();
  auto survey = survey_of(2, &saved);
  CHECK_FALSE(survey.known());
  REQUIRE(survey.note(5, 1000, {10, 1, 10}));
  CHECK(survey.get().error().code == ec::unavailable);
  REQUIRE(survey.note(5, 1000, {10, 2, 10}));  // says it again, otherwise
  CHECK(survey.get().error().code == ec::unavailable);
  REQUIRE(survey.note(3, 1000, {10, 4, 10}));
  const auto how = survey.get();
  REQUIRE(how);
  CHECK((*how)[0] == 3);
  CHECK((*how)[1] == doctest::Approx(std::sqrt(2.0)));
  CHECK(saved == *how);
  REQUIRE(survey.note(1, 1000, {1000, 99, 1}));
  CHECK(survey.get().value() == *how);
  REQUIRE(survey.note(1, 1000, {}));  // nothing has to be said any more
  CHECK(survey.known() == *how);
}

TEST_CASE("what cannot be true of inputs is refused, and what cannot be saved is not said") {
  auto survey = survey_of(1);
  CHECK(survey.note(1, 1000, {}).error().code == ec::bad_claim);
  CHECK(survey.note(1, 1000, {1, 2}).error().code == ec::bad_claim);
  CHECK(survey.note(1, 1000, {-1, 2, 3}).error().code == ec::bad_claim);
  CHECK(survey.note(1, 1000, {1, std::numeric_limits<double>::infinity(), 3}).error().code == ec::bad_claim);
  CHECK(survey.note(1, 1000, {10, 2, -3}).error().code == ec::bad_claim);
  CHECK(survey.note(1, 1000, {4, 2, 3}).error().code == ec::bad_claim);
  CHECK(survey.note(1, 1000, {1001, 2, 3}).error().code == ec::bad_claim);
  CHECK(survey.note(1, 1000, {10.5, 2, 3}).error().code == ec::bad_claim);
  CHECK(survey.note(1, 1000, {10, 1e200, 3}).error().code == ec::bad_claim);
  CHECK(survey.note(1, 1000, {10, 1, 1e300}).error().code == ec::bad_claim);
  auto full = true;
  auto other = Survey({true}, 1, {}, [&](const Standardisation&) {
    return full ? Result<void>(fail(ec::store_full, "no room")) : Result<void>();
  });
  REQUIRE(other.note(1, 1000, {10, 1, 10}));
  CHECK(other.get().error().code == ec::store_full);
  CHECK_FALSE(other.known());
  full = false;
  CHECK(other.get());
}
