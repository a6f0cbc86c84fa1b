// Numbers of own data are brought to mean 0 and standard deviation 1 over all clients, without any row
// leaving its client: each says count, mean and sum of squared deviations of its inputs, and the server
// combines them.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "learning/data/dataset.hpp"
#include "messages/ids.hpp"

namespace fl {

/// Of each input three numbers: how many values, their mean, and M2 = Σ (x − mean)². Missing values (NaN) do
/// not count. Inputs that are not to be standardised have 0 of each.
using Moments = std::vector<double>;

/// Of each input two numbers: the mean that is taken away, and the deviation that it is divided by. Empty:
/// inputs stay as they are.
using Standardisation = std::vector<double>;

/// An input of which a client has fewer values than this is left out: its mean would say too much of them.
inline constexpr std::size_t kMinimumValues = 5;

/// Of the rows of `data`; `numbers` [inputs] says which are to be standardised. An input with fewer values
/// than `least` has none.
Moments moments_of(const DataView& data, const std::vector<bool>& numbers,
                   std::size_t least = kMinimumValues);

/// Adds `more` to `sum`, of the same size (Chan, Golub and LeVeque 1979, equation 2.1). Nothing is lost by
/// large means, as it would be with sums of squares.
void add_moments(Moments& sum, const Moments& more);

/// Means and deviations √(M2 / count). Inputs without values, or that never differ, are only shifted: their
/// deviation is 1.
Standardisation standardisation_of(const Moments& moments);

/// The rows of `data` in a dataset of their own, (x − mean) / deviation each; missing values become 0, the
/// mean. Without a standardisation missing values stay, and `data` is returned.
DataView standardised(const DataView& data, const Standardisation& how);

/// Collects the clients' moments until the first task needs the standardisation; it stays the same from then
/// on, over restarts too. Thread-safe.
class Survey {
 public:
  /// `numbers` [inputs] are those to be standardised. `clients` whose moments the first task waits for.
  /// `known`: of an earlier life of the run. `save` makes it outlive the process before any client hears of
  /// it.
  Survey(std::vector<bool> numbers, std::uint32_t clients, Standardisation known,
         std::function<Result<void>(const Standardisation&)> save);

  /// Moments of a client with so many samples; a later word of the same client takes the place of an earlier
  /// one. Without effect once the standardisation is known; nobody has to say it then. Fails with
  /// `bad_claim`.
  Result<void> note(ClientId client, std::uint64_t samples, const Moments& moments);

  /// Combined in the order of the clients' indices, so that it does not depend on who came first. Fails with
  /// `unavailable` while clients are missing, or as `save` does.
  Result<Standardisation> get();

  /// None while it is not known.
  std::optional<Standardisation> known() const;

 private:
  const std::vector<bool> numbers_;
  const std::uint32_t clients_;
  const std::function<Result<void>(const Standardisation&)> save_;
  mutable std::mutex mutex_;
  std::map<ClientId, Moments> moments_;
  Standardisation result_;
};

using SurveyPtr = std::shared_ptr<Survey>;

}  // namespace fl
