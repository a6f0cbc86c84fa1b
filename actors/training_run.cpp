#include "actors/training_run.hpp"

#include <utility>

namespace fl {

Result<std::shared_ptr<TrainingRun>> TrainingRun::begin(const TrainingMeans& means, const Task& task,
                                                        ParametersPtr base, bool whole_model,
                                                        std::uint64_t stream_seed) {
  auto run = std::make_shared<TrainingRun>();
  run->task_ = task;
  run->whole_model_ = whole_model;
  run->layout_ = means.trainer->layout();
  if (task.evaluate_base && means.validation && means.validation->size() > 0) {
    auto evaluation = means.trainer->evaluate(base, means.validation);
    if (!evaluation) return tl::unexpected(evaluation.error());
    run->evaluation_ = std::move(*evaluation);
  }
  if (task.kind == TaskKind::train) {
    auto training = means.trainer->train(task.training, std::move(base), means.data, stream_seed);
    if (!training) return tl::unexpected(training.error());
    run->training_ = std::move(*training);
  }
  return run;
}

bool TrainingRun::run_slice(std::chrono::steady_clock::time_point until) {
  if (evaluation_ && !evaluated_) {
    evaluated_ = evaluation_->run_slice(until);
    return evaluated_ && !training_ ? (encode(), true) : false;
  }
  if (training_ && !training_->run_slice(until)) return false;
  encode();
  return true;
}

void TrainingRun::encode() {
  auto info = UpdateInfo();
  info.task = task_.id;
  info.epoch = task_.epoch;
  info.client = task_.client;
  info.base = task_.base;
  if (evaluation_) {
    info.base_evaluation = evaluation_->report();
    info.base_evaluation.version = task_.base;
  }
  if (training_) {
    const auto report = training_->report();
    info.samples = report.samples;
    info.steps = report.steps;
    info.train_loss = report.train_loss;
    info.train_seconds = report.compute_seconds;
  }
  auto blob =
      training_ ? make_update_blob(info, *layout_, whole_model_) : make_evaluation_blob(info, *layout_);
  if (training_) training_->write_update(blob.values(), whole_model_);
  training_.reset();
  result_ = std::make_shared<const TrainedUpdate>(
      TrainedUpdate{info, std::make_shared<const MemorySource>(std::move(blob.buffer))});
}

}  // namespace fl
