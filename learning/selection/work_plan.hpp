// How much work a task is, and by when: from what the server has measured of the client.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "learning/selection/client_measures.hpp"
#include "messages/training.hpp"

namespace fl {

using Seconds = std::chrono::duration<double>;

struct WorkOptions {
  bool adaptive = false;  ///< schedule.adaptive_work: slow clients get less, fast ones more
  Seconds target{0};      ///< that a task is to take; 0: what the median client takes for the configured work
  double least = 0.1;     ///< of the configured work, in (0, 1]
  double most = 4;        ///< ≥ 1
  double deadline_factor = 0;   ///< a lease runs out at so many times what the client's task is expected to
                                ///< take; 0: at the task's timeout only
  bool accept_partial = false;  ///< the client sends at the deadline what it has until then
};

/// What a client is asked for.
struct WorkPlan {
  std::uint32_t steps = 0;          ///< instead of the configured work; 0: that
  std::optional<Seconds> deadline;  ///< before the timeout; none: the timeout alone
};

/// The median client's time for the configured work, over those that are known: what `target` 0 means. Kept
/// up to date by the caller. `samples_of` says how many samples a client has. None: nobody is known.
std::optional<double> median_task_s(const MeasuresTable& measures, const TrainingSettings& settings,
                                    const std::function<std::uint64_t(ClientId)>& samples_of);

/// For a client with `samples` samples. Who is not known gets the configured work.
WorkPlan plan_work(const WorkOptions& options, const TrainingSettings& settings, std::uint64_t samples,
                   const ClientMeasures& client, std::optional<double> median_s);

}  // namespace fl
