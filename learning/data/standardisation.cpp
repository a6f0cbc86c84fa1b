#include "learning/data/standardisation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

namespace fl {

namespace {

constexpr std::size_t kMoments = 3;  ///< numbers of an input in Moments
constexpr std::size_t kScale = 2;    ///< numbers of an input in Standardisation

void add_value(std::span<double, kMoments> sums, double value) {
  sums[0] += 1;
  const auto difference = value - sums[1];
  sums[1] += difference / sums[0];
  sums[2] += difference * (value - sums[1]);
}

}  // namespace

Moments moments_of(const DataView& data, const std::vector<bool>& numbers, std::size_t least) {
  auto moments = Moments(kMoments * numbers.size());
  const auto of_input = [&](std::size_t input) {
    return std::span<double, kMoments>(moments.data() + kMoments * input, kMoments);
  };
  auto sample = std::vector<float>(numbers.size());
  for (const auto row : data.rows) {
    data.dataset->gather_features(std::span(&row, 1), sample);
    for (auto input = std::size_t{0}; input < numbers.size(); ++input)
      if (numbers[input] && !std::isnan(sample[input])) add_value(of_input(input), sample[input]);
  }
  for (auto input = std::size_t{0}; input < numbers.size(); ++input)
    if (of_input(input)[0] < static_cast<double>(least)) std::ranges::fill(of_input(input), 0.0);
  return moments;
}

void add_moments(Moments& sum, const Moments& more) {
  for (auto at = std::size_t{0}; at < sum.size(); at += kMoments) {
    if (more[at] == 0) continue;
    const auto count = sum[at] + more[at];
    const auto difference = more[at + 1] - sum[at + 1];
    sum[at + 1] += difference * more[at] / count;
    sum[at + 2] += more[at + 2] + difference * difference * sum[at] * more[at] / count;
    sum[at] = count;
  }
}

Standardisation standardisation_of(const Moments& moments) {
  auto result = Standardisation();
  for (auto at = std::size_t{0}; at < moments.size(); at += kMoments) {
    const auto variance = moments[at] > 0 ? moments[at + 2] / moments[at] : 0;
    result.push_back(moments[at + 1]);
    result.push_back(variance > 0 ? std::sqrt(variance) : 1);
  }
  return result;
}

DataView standardised(const DataView& data, const Standardisation& how) {
  if (how.empty() || !data.dataset) return data;
  const auto& from = *data.dataset;
  const auto inputs = from.sample_size();
  auto features = std::vector<float>(data.size() * inputs);
  from.gather_features(data.rows, features);
  for (auto at = std::size_t{0}; at < features.size(); ++at) {
    const auto* scale = how.data() + kScale * (at % inputs);
    auto& value = features[at];
    value = std::isnan(value) ? 0.0F : static_cast<float>((value - scale[0]) / scale[1]);
  }
  return DataView::all(from.with_features(data.rows, std::move(features)));
}

Survey::Survey(std::vector<bool> numbers, std::uint32_t clients, Standardisation known,
               std::function<Result<void>(const Standardisation&)> save)
    : numbers_(std::move(numbers)), clients_(clients), save_(std::move(save)), result_(std::move(known)) {}

namespace {

/// Of `samples` values in 32 bits: what is added up from them stays finite.
bool can_be_true(std::span<const double, kMoments> said, std::uint64_t samples, bool is_number) {
  const auto [count, mean, squares] = std::tuple(said[0], said[1], said[2]);
  if (count == 0 || !is_number) return count == 0 && mean == 0 && squares == 0;
  constexpr auto kLargest = double{std::numeric_limits<float>::max()};
  return count >= kMinimumValues && count <= static_cast<double>(samples) && count == std::trunc(count) &&
         std::abs(mean) <= kLargest && squares >= 0 && squares / count <= kLargest * kLargest;
}

}  // namespace

Result<void> Survey::note(ClientId client, std::uint64_t samples, const Moments& moments) {
  if (moments.empty() && known()) return {};
  if (moments.size() != kMoments * numbers_.size())
    return fail(ec::bad_claim, "the client sends " + std::to_string(moments.size()) +
                                   " numbers about its inputs, expected " +
                                   std::to_string(kMoments * numbers_.size()));
  for (auto input = std::size_t{0}; input < numbers_.size(); ++input) {
    const auto said = std::span<const double, kMoments>(moments.data() + kMoments * input, kMoments);
    if (!can_be_true(said, samples, numbers_[input]))
      return fail(ec::bad_claim, "the client's count, mean and deviations of input " + std::to_string(input) +
                                     " cannot be true");
  }
  const auto lock = std::lock_guard(mutex_);
  if (result_.empty()) moments_[client] = moments;
  return {};
}

Result<Standardisation> Survey::get() {
  const auto lock = std::lock_guard(mutex_);
  if (!result_.empty()) return result_;
  if (moments_.size() < clients_)
    return fail(ec::unavailable, "the means of the inputs: " + std::to_string(moments_.size()) + " of " +
                                     std::to_string(clients_) + " clients have said theirs");
  auto sum = Moments(kMoments * numbers_.size());
  for (const auto& [client, moments] : moments_) add_moments(sum, moments);
  auto combined = standardisation_of(sum);
  if (auto ok = save_(combined); !ok) return tl::unexpected(ok.error());
  result_ = std::move(combined);
  moments_.clear();
  return result_;
}

std::optional<Standardisation> Survey::known() const {
  const auto lock = std::lock_guard(mutex_);
  if (result_.empty()) return std::nullopt;
  return result_;
}

}  // namespace fl
