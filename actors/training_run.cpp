#include "actors/training_run.hpp"

#include <utility>

#include "learning/data/standardisation.hpp"
#include "learning/random.hpp"

namespace fl {

Ready ready_of(const TrainingMeans& means) {
  auto ready = Ready();
  // The echo trainer needs no data, and counts as one sample.
  ready.samples = means.data ? means.data->size() : 1;
  ready.validation_samples = means.validation ? means.validation->size() : 0;
  if (means.data && means.data->dataset) ready.label_histogram = means.data->label_histogram();
  if (means.fingerprint != 0)
    ready.data_fingerprint = means.fingerprint;
  else if (means.data && means.data->dataset)
    ready.data_fingerprint = means.data->fingerprint();
  ready.moments = means.moments;
  return ready;
}

TrainingMeans TrainingMeans::standardised(const std::vector<double>& how) const {
  auto changed = *this;
  if (data) changed.data = std::make_shared<const DataView>(fl::standardised(*data, how));
  if (validation) changed.validation = std::make_shared<const DataView>(fl::standardised(*validation, how));
  return changed;
}

Result<std::shared_ptr<TrainingRun>> TrainingRun::begin(const TrainingMeans& means, const Task& task,
                                                        ParametersPtr base, ResidualPtr residual,
                                                        const TrainingTerms& terms) {
  auto run = std::make_shared<TrainingRun>();
  run->task_ = task;
  run->terms_ = terms;
  run->residual_ = std::move(residual);
  run->layout_ = means.trainer->layout();
  if (task.evaluate_base && means.validation && means.validation->size() > 0) {
    auto evaluation = means.trainer->evaluate(base, means.validation);
    if (!evaluation) return tl::unexpected(evaluation.error());
    run->evaluation_ = std::move(*evaluation);
  }
  if (task.kind == TaskKind::train) {
    const auto seed = stream_seed(terms.seed, "train", task.owner, task.stream);
    auto training = means.trainer->train(task.training, std::move(base), means.data, seed);
    if (!training) return tl::unexpected(training.error());
    run->training_ = std::move(*training);
  }
  return run;
}

bool TrainingRun::run_slice(std::chrono::steady_clock::time_point until) {
  if (!begun_) begun_ = std::chrono::steady_clock::now();
  if (evaluation_ && !evaluated_) {
    evaluated_ = evaluation_->run_slice(until);
    return evaluated_ && !training_ ? (encode(), true) : false;
  }
  if (training_ && !training_->run_slice(until)) {
    const auto late =
        terms_.stop_after.count() > 0 && std::chrono::steady_clock::now() - *begun_ >= terms_.stop_after;
    if (!late) return false;
    training_->stop();
  }
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
    info.train_seconds = terms_.simulated_seconds.value_or(report.compute_seconds);
  }
  result_ = encoded(info);
  training_.reset();
  residual_.reset();
}

Result<TrainedUpdatePtr> TrainingRun::encoded(const UpdateInfo& info) {
  const auto finished = [&](UpdateBlob blob, ResidualPtr residual) {
    return std::make_shared<const TrainedUpdate>(TrainedUpdate{
        info, std::make_shared<const MemorySource>(std::move(blob.buffer)), false, std::move(residual)});
  };
  if (!training_) return finished(make_evaluation_blob(info, *layout_), nullptr);
  const auto codec = parse_codec(task_.upload.codec);
  if (!codec) return tl::unexpected(codec.error());
  if (terms_.whole_model || (codec->is_none() && !keeps_residual(*codec, task_.upload))) {
    auto blob = make_update_blob(info, *layout_, terms_.whole_model);
    training_->write_update(blob.values(), terms_.whole_model);
    return finished(std::move(blob), nullptr);
  }
  auto delta = Parameters(layout_);
  training_->write_update(delta.values(), false);
  const auto seed = stream_seed(terms_.seed, "codec", task_.owner, task_.stream);
  auto prepared = prepare_upload(task_.upload, std::move(delta), residual_, seed);
  if (!prepared) return tl::unexpected(prepared.error());
  if (prepared->left_out)
    return std::make_shared<const TrainedUpdate>(TrainedUpdate{info, nullptr, true, prepared->after});
  return finished(make_update_blob(info, *layout_, prepared->codec, prepared->bytes.span()), prepared->after);
}

}  // namespace fl
