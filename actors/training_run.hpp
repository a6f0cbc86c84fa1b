// All that one task asks of a client, as one job for the worker pool: evaluate the base if asked to, train,
// encode.
#pragma once

#include "actors/actors.hpp"
#include "learning/trainer.hpp"

namespace fl {

/// A client's model and data, once the welcome is known.
struct TrainingMeans {
  TrainerPtr trainer;
  std::shared_ptr<const DataView> data;        ///< to train on
  std::shared_ptr<const DataView> validation;  ///< kept from training; may be empty
  std::uint64_t fingerprint = 0;               ///< of the data, where there are none to read; 0: read them
};

class TrainingRun final : public Job {
 public:
  /// Fails like Trainer::train.
  static Result<std::shared_ptr<TrainingRun>> begin(const TrainingMeans& means, const Task& task,
                                                    ParametersPtr base, bool whole_model,
                                                    std::uint64_t stream_seed);

  bool run_slice(std::chrono::steady_clock::time_point until) override;

  /// The encoded update, after the end.
  const TrainedUpdatePtr& result() const { return result_; }

 private:
  void encode();

  Task task_;
  bool whole_model_ = false;
  LayoutPtr layout_;
  std::unique_ptr<EvaluationJob> evaluation_;  ///< null: not asked for
  bool evaluated_ = false;
  std::unique_ptr<TrainingJob> training_;  ///< null: only the evaluation is asked for
  TrainedUpdatePtr result_;
};

}  // namespace fl
