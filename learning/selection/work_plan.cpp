#include "learning/selection/work_plan.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "learning/trainer.hpp"

namespace fl {

std::optional<double> median_task_s(const MeasuresTable& measures, const TrainingSettings& settings,
                                    const std::function<std::uint64_t(ClientId)>& samples_of) {
  auto durations = std::vector<double>();
  for (auto client = ClientId{0}; client < measures.size(); ++client) {
    // Not by the samples of its last update: those were fewer where it was given less work.
    const auto work = samples_processed(settings, static_cast<std::size_t>(samples_of(client)));
    if (const auto expected = measures[client].expected_s(static_cast<double>(work)))
      durations.push_back(*expected);
  }
  if (durations.empty()) return std::nullopt;
  const auto middle = durations.begin() + static_cast<std::ptrdiff_t>(durations.size() / 2);
  std::ranges::nth_element(durations, middle);
  return *middle;
}

WorkPlan plan_work(const WorkOptions& options, const TrainingSettings& settings, std::uint64_t samples,
                   const ClientMeasures& client, std::optional<double> median_s) {
  auto plan = WorkPlan();
  if (!client.known() || samples == 0) return plan;
  const auto configured = static_cast<double>(samples_processed(settings, samples));
  auto planned = configured;
  const auto target_s = options.target.count() > 0 ? options.target.count() : median_s.value_or(0);
  if (options.adaptive && target_s > 0) {
    const auto affordable = std::max(0.0, target_s - client.transfer_s) * client.samples_per_s;
    planned = std::clamp(affordable, options.least * configured, options.most * configured);
    const auto batch = static_cast<double>(std::min<std::uint64_t>(settings.batch_size, samples));
    plan.steps = static_cast<std::uint32_t>(std::max(1.0, std::round(planned / batch)));
  }
  if (options.deadline_factor > 0)
    plan.deadline = Seconds(options.deadline_factor * client.expected_s(planned).value());
  return plan;
}

}  // namespace fl
