// What trains and evaluates, as a pure interface: nothing here knows of torch, and everything else can be
// tested with a fake. Work comes as jobs that run in slices, so that it can be interrupted, and so that few
// threads share many jobs evenly (learning/worker_pool.hpp).
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "learning/data/dataset.hpp"
#include "learning/loss_name.hpp"
#include "learning/parameters.hpp"
#include "messages/errors.hpp"
#include "messages/training.hpp"
#include "messages/types.hpp"

namespace fl {

/// A piece of work that is done in slices, by one thread at a time but not always the same one.
class Job {
 public:
  virtual ~Job() = default;

  /// Works until `until` or the end, at least one batch; returns true when the job is done.
  /// The result does not depend on where slices are cut. Throws on failures that should not happen.
  virtual bool run_slice(std::chrono::steady_clock::time_point until) = 0;
};

/// How a local training went.
struct TrainingReport {
  std::uint64_t samples = 0;   ///< distinct samples trained on (n_i)
  std::uint64_t steps = 0;     ///< batches done
  double train_loss = 0;       ///< mean over the batches
  double compute_seconds = 0;  ///< time spent inside run_slice, or what the echo trainer pretends
};

/// One client's training from one base.
class TrainingJob : public Job {
 public:
  /// Of the steps done so far: complete once run_slice has returned true.
  virtual TrainingReport report() const = 0;

  /// What is done so far is all; to be called between two slices, after the first.
  virtual void stop() {}

  /// Writes x_i − x_base, or with `whole_model` x_i itself; `out` has the layout's size. Once, after the end.
  virtual void write_update(std::span<float> out, bool whole_model) = 0;
};

/// Evaluation of one model on one set of samples.
class EvaluationJob : public Job {
 public:
  /// Mean loss and accuracy; complete once run_slice has returned true. `version` is left to the caller.
  virtual Evaluation report() const = 0;
};

/// What goes into an exported model beside its parameters.
struct ExportTerms {
  std::vector<double> standardisation;  ///< of the inputs (data/standardisation.hpp): the file takes them as
                                        ///< the data have them; empty: nothing is done to them
  std::string about;                    ///< JSON, kept in the file as "fl_actor.json"; empty: nothing
};

/// Knows one model: its layout, how it begins, how it trains. Thread-safe; one serves all clients of a
/// process.
class Trainer {
 public:
  virtual ~Trainer() = default;

  virtual const LayoutPtr& layout() const = 0;

  /// The initial model: the same for the same seed, on any number of threads.
  virtual Parameters initial_parameters(std::uint64_t seed) const = 0;

  /// Starts local training of `data` from `base`. `stream_seed` decides the order of the samples.
  /// Fails with `bad_config` (settings), `layout_mismatch` (base) or `bad_data` (no samples, labels or shapes
  /// that do not fit the model).
  virtual Result<std::unique_ptr<TrainingJob>> train(const TrainingSettings& settings, ParametersPtr base,
                                                     std::shared_ptr<const DataView> data,
                                                     std::uint64_t stream_seed) const = 0;

  /// Starts the evaluation of `model` on `data`.
  virtual Result<std::unique_ptr<EvaluationJob>> evaluate(ParametersPtr model,
                                                          std::shared_ptr<const DataView> data) const = 0;

  /// Writes the model so that `torch.jit.load` runs it. Fails with `unsupported_format` where there is
  /// nothing to run (the echo trainer), or `io_failed`.
  virtual Result<void> export_torchscript(const Parameters& model, const std::filesystem::path& file,
                                          const ExportTerms& terms) const = 0;
};

using TrainerPtr = std::shared_ptr<const Trainer>;

struct TrainerOptions;

/// What the identity of a model from a file begins with.
inline constexpr std::string_view kScriptPrefix = "script-";

/// Names the model, so that two nodes or two lives of a run see whether they mean the same: its name, or
/// "script-" and the XXH3-64 of its file. Fails with `bad_config` when that cannot be read.
Result<std::string> model_identity(const TrainerOptions& options);

/// Samples that a training goes through, repeats included, for a client with so many samples to an epoch
/// (learning/data/balance.hpp).
inline std::uint64_t samples_processed(const TrainingSettings& settings, std::uint64_t samples) {
  if (settings.steps == 0) return std::uint64_t{settings.epochs} * samples;
  return std::uint64_t{settings.steps} * std::min<std::uint64_t>(settings.batch_size, samples);
}

/// What a client decides about its own training (`train.*` that does not travel), and the model's name.
struct TrainerOptions {
  std::string backend = "torch";       ///< "torch" | "echo"
  std::string model = "simple_cnn";    ///< of learning/torch/networks.cpp, such as "lstm_char"; or "flat"
  std::filesystem::path model_file;    ///< a TorchScript module instead of `model`; empty: none
  std::uint64_t model_parameters = 0;  ///< for "flat": floats, ≥ 1
  double echo_seconds = 0;             ///< what an echo task pretends to take, ≥ 0
  std::uint32_t threads = 1;           ///< torch and BLAS threads a task
  std::string precision = "fp32";      ///< "fp32" | "bf16"
  std::string device = "auto";         ///< "auto" | "cpu" | "cuda"
  LossName loss = LossName::cross_entropy;
  std::vector<std::int64_t>
      sample_shape;            ///< of the data; "logistic" and "mlp_2nn" take their input size from it
  std::uint32_t classes = 10;  ///< of the data; 0: its targets are numbers
};

/// Trains nothing: sends a small constant as its delta after `echo_seconds`. It measures the system.
/// Fails with `bad_config` unless the model is "flat" with parameters ≥ 1.
Result<TrainerPtr> make_echo_trainer(const TrainerOptions& options);

}  // namespace fl
