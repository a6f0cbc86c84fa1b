// Who is given work, where not everybody is: the policies of schedule.policy.
//
// Asynchronous strategies ask for one client whenever a place becomes free; synchronous ones for a cohort. A
// policy sees what the server has measured (client_measures.hpp) and holds no state of its own but its stream
// of random numbers, so that it goes on after a restart. With more than kSample candidates the asynchronous
// choice is among as many of them drawn at random.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "learning/random.hpp"
#include "learning/selection/candidates.hpp"
#include "learning/selection/client_measures.hpp"
#include "messages/errors.hpp"

namespace fl {

struct PolicyOptions {
  /// all: who has waited longest; a cohort that is smaller than the federation is drawn at random.
  /// random: drawn.
  /// power_of_choice: of `choices` times as many candidates, drawn, those whose last loss was largest (Cho
  /// 2020,
  ///   2010.01243).
  /// oort: by statistical utility (samples times loss) and system utility (how far beyond the preferred
  /// duration),
  ///   while a share that falls from 0.9 to 0.2 goes to clients that were never tried (Lai 2021, 2010.06081).
  /// tiered: a tier of clients that are about as fast is drawn, then clients of it (TiFL, Chai 2020,
  /// 2001.09249). fair: who has been accepted least; nobody beyond `fair_share` times an equal share of the
  /// updates.
  std::string name = "all";
  double choices = 3;       ///< power_of_choice, ≥ 1
  double oort_alpha = 2;    ///< how much being slow counts, ≥ 0
  std::uint32_t tiers = 5;  ///< ≥ 1
  double fair_share = 2;    ///< ≥ 1
};

/// What a choice is made on.
struct SelectionFacts {
  const MeasuresTable& measures;  ///< by client; who is beyond its end is not known
  Version version = 0;            ///< that the work is on
  std::size_t clients = 0;        ///< of the federation that are there
  std::uint64_t answered = 0;     ///< by all of them
};

class SelectionPolicy {
 public:
  /// Candidates that an asynchronous choice looks at.
  static constexpr std::size_t kSample = 1'000;

  virtual ~SelectionPolicy() = default;

  /// One of the candidates; none: none of them is to be given work now. They are not empty.
  virtual std::optional<ClientId> choose(const Candidates& candidates, const SelectionFacts& facts) = 0;

  /// `count` of `present` (rising), which has more; rising. The same for the same facts, whatever was asked
  /// before.
  virtual std::vector<ClientId> cohort(std::vector<ClientId> present, std::size_t count,
                                       const SelectionFacts& facts) = 0;
};

/// `seed` is the run's. Fails with `bad_config` for an unknown name.
Result<std::unique_ptr<SelectionPolicy>> make_selection_policy(const PolicyOptions& options,
                                                               std::uint64_t seed);

}  // namespace fl
