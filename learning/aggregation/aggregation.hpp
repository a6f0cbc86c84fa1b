// The server's model and what has been folded towards its next version. Plain class, no actors: the
// aggregator actor is a shell round it.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "learning/aggregation/server_optimizer.hpp"
#include "learning/aggregation/strategy.hpp"
#include "learning/compression/encoded_array.hpp"
#include "learning/downloads.hpp"
#include "learning/parameters.hpp"
#include "messages/envelope.hpp"

namespace fl {

/// Everything that a restart needs to go on with the same bits. Arrays are shared where they are immutable.
struct AggregationState {
  ParametersPtr model;
  Version version = 0;
  std::uint64_t updates_accepted = 0;
  Parameters optimizer_m;  ///< empty when the optimiser has none
  Parameters optimizer_v;
  Parameters buffer_sum;  ///< empty when buffer.count is 0
  BufferInfo buffer;
  Parameters residual;  ///< x − x_published, with a lossy download.codec; empty: zero

  AggregationState clone() const;
};

/// Folds accepted updates and makes versions. Memory: the model, the sum that becomes the next one, the
/// optimiser's moments and the residual of a lossy download.codec; nothing that grows with the clients but
/// their ids.
class Aggregation {
 public:
  Aggregation(StrategyOptions strategy, ServerOptimizerOptions optimizer, ParametersPtr initial);

  /// Continues from a snapshot; fails with `corrupt_data` or `layout_mismatch` when the arrays do not fit.
  static Result<Aggregation> restore(StrategyOptions strategy, ServerOptimizerOptions optimizer,
                                     AggregationState state);

  /// w_i, d_i and τ_i of an update if it came now; see fl::weigh.
  Result<Weight> weigh(const UpdateFacts& update) const;

  /// Folds Σ += w Δ; with FedAsync, Σ += w (x_i − x), x being the current model. One pass over what was sent:
  /// a sparse update costs what it holds, but for the first of a buffer, which clears the sum.
  /// The values are taken to be finite: check them before (validate_update). Fails with `wrong_length`
  /// when the size is not the model's, or as visit_array does, and then leaves no trace. Throws
  /// std::runtime_error when the disk fails half-way through an update: what was folded before is lost with
  /// it, and a snapshot has to be restored.
  Result<void> fold(const UpdateFacts& update, const Weight& weight, const EncodedArray& payload);

  /// Distinct clients in the open buffer, and updates folded into it.
  std::size_t distinct_clients() const { return clients_.size(); }
  std::uint64_t folded() const { return folded_; }

  /// Forgets what was folded since the last version, as if those updates had never come; returns how many.
  std::uint64_t discard_buffer();

  /// Applies the buffer as the next version, which is `model()` and `version()` from then on. Needs folded()
  /// > 0, else std::logic_error.
  ///
  /// With a lossy download.codec the version is what the clients make of it: the server sends C(x + step −
  /// x_published), applies that to x_published like every client, and keeps what the codec left out, so that
  /// nothing is lost and all hold the same bits (bidirectional error feedback: DoubleSqueeze, Tang 2019,
  /// 1905.05957).
  void close();

  /// What was sent of the last version; null: all of it, as it is.
  const VersionDeltaPtr& delta() const { return delta_; }

  /// Makes a version in which nothing changes: a replay that leaves out all of its updates.
  void close_unchanged();

  /// D = Σ d_i of the open buffer.
  double divisor() const { return divisor_; }

  Version version() const { return version_; }
  const ParametersPtr& model() const { return model_; }
  std::uint64_t updates_accepted() const { return updates_accepted_; }
  const StrategyOptions& strategy() const { return strategy_; }

  /// A copy of all state for a snapshot (the model is shared, the rest copied).
  AggregationState state() const;

 private:
  StrategyOptions strategy_;
  ServerOptimizer optimizer_;
  ParametersPtr model_;
  Version version_ = 0;
  std::uint64_t updates_accepted_ = 0;
  Parameters sum_;  ///< without meaning while folded_ is 0, may be empty then
  double divisor_ = 0;
  std::uint64_t folded_ = 0;
  std::set<ClientId> clients_;
  Parameters residual_;
  VersionDeltaPtr delta_;

  void publish_exactly();
  void publish_change();
};

}  // namespace fl
