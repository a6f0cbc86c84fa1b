// All that one task asks of a client, as one job for the worker pool: evaluate the base if asked to, train,
// add what is left from earlier updates, encode.
#pragma once

#include "actors/actors.hpp"
#include "learning/trainer.hpp"

namespace fl {

/// A client's model and data, once the welcome is known.
struct TrainingMeans {
  TrainerPtr trainer;
  std::shared_ptr<const DataView> data;        ///< to train on
  std::shared_ptr<const DataView> validation;  ///< kept from training; may be empty
  std::uint64_t fingerprint = 0;               ///< of the data, where it is known already; 0: to be read
  std::vector<double> moments = {};            ///< of its inputs, where the server asks for them

  /// The same with standardised inputs.
  TrainingMeans standardised(const std::vector<double>& how) const;
};

/// What the welcome says of every task.
struct TrainingTerms {
  std::uint64_t seed = 0;                        ///< of the run
  bool whole_model = false;                      ///< updates are the model itself (FedAsync)
  std::optional<double> simulated_seconds = {};  ///< what the training says it took; none: what it took
  Seconds stop_after{0};                         ///< what is trained until then is enough; 0: all is wanted
};

/// What a client with these means says of itself.
Ready ready_of(const TrainingMeans& means);

class TrainingRun final : public Job {
 public:
  /// Fails like Trainer::train.
  static Result<std::shared_ptr<TrainingRun>> begin(const TrainingMeans& means, const Task& task,
                                                    ParametersPtr base, ResidualPtr residual,
                                                    const TrainingTerms& terms);

  bool run_slice(std::chrono::steady_clock::time_point until) override;

  /// The encoded update, after the end; fails like prepare_upload.
  const Result<TrainedUpdatePtr>& result() const { return result_; }

 private:
  void encode();
  Result<TrainedUpdatePtr> encoded(const UpdateInfo& info);

  Task task_;
  TrainingTerms terms_;
  ResidualPtr residual_;
  LayoutPtr layout_;
  std::unique_ptr<EvaluationJob> evaluation_;  ///< null: not asked for
  bool evaluated_ = false;
  std::optional<std::chrono::steady_clock::time_point> begun_;
  std::unique_ptr<TrainingJob> training_;  ///< null: only the evaluation is asked for
  Result<TrainedUpdatePtr> result_;
};

}  // namespace fl
