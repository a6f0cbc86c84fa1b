#include "actors/training_desk.hpp"

#include <algorithm>
#include <utility>

#include "actors/crash_report.hpp"
#include "learning/data/balance.hpp"

namespace fl {

namespace {

/// Forward only, where training goes forward and back.
constexpr double kEvaluationShare = 1.0 / 3;

}  // namespace

double TrainingDesk::compute_seconds(const Task& task) const {
  auto samples = 0.0;
  if (task.evaluate_base && means_.validation)
    samples += kEvaluationShare * static_cast<double>(means_.validation->size());
  if (task.kind != TaskKind::train) return samples * options_.cost.sample_s;
  const auto own = means_.data ? epoch_samples(task.training.balance, *means_.data) : 1;
  samples += static_cast<double>(samples_processed(task.training, own));
  return options_.cost.task_s + samples * options_.cost.sample_s;
}

/// With accept_partial only as many batches as there is time for, transfers included.
Task TrainingDesk::within_time(Task task) const {
  if (task.stop_after_seconds == 0 || options_.cost.sample_s == 0 || !means_.data) return task;
  const auto own = epoch_samples(task.training.balance, *means_.data);
  const auto all = samples_processed(task.training, own);
  const auto besides = profile_.download_seconds(task.model_bytes) +
                       profile_.upload_seconds(means_.trainer->layout()->size_bytes());
  const auto affordable =
      std::max(0.0, task.stop_after_seconds - besides) / (profile_.speed * options_.cost.sample_s);
  if (affordable >= static_cast<double>(all)) return task;
  const auto batch = std::min<std::uint64_t>(task.training.batch_size, own);
  task.training.steps = std::max(1u, static_cast<std::uint32_t>(affordable / static_cast<double>(batch)));
  return task;
}

Result<TrainingDesk::Outlook> TrainingDesk::begin(const Task& given, ParametersPtr base, ResidualPtr residual,
                                                  TimePoint now) {
  cancel();
  const auto task = within_time(given);
  const auto compute = profile_.speed * compute_seconds(task);
  const auto takes = profile_.download_seconds(task.model_bytes) + compute;
  if (const auto share = gives_up_after(profile_.dropout, options_.seed, task.client, task.id))
    return Outlook{Seconds(takes * *share), true};
  auto terms = TrainingTerms{options_.seed, options_.whole_model, compute};
  auto run = TrainingRun::begin(means_, task, std::move(base), std::move(residual), terms);
  if (!run) return tl::unexpected(run.error());
  run_ = std::move(*run);
  job_ = options_.pool->submit(run_, now + std::chrono::duration_cast<TimePoint::duration>(Seconds(takes)));
  return Outlook{Seconds(takes), false};
}

Result<TrainedUpdatePtr> TrainingDesk::finish() {
  if (!job_) return fail(ec::internal, "no training is under way");
  const auto error = options_.pool->finish(*std::exchange(job_, std::nullopt));
  const auto run = std::exchange(run_, nullptr);
  if (error) return fail(ec::internal, "training failed: " + text_of(error));
  return run->result();
}

void TrainingDesk::cancel() {
  if (job_) options_.pool->cancel(*std::exchange(job_, std::nullopt));
  run_ = nullptr;
}

}  // namespace fl
