// What a client has learnt but not said yet. Error feedback (Karimireddy 2019, 1901.09847): what a biased
// codec leaves out of one update is added to the next, so that all of it arrives in the end. The same memory
// holds deltas that were too small to be worth an upload (lazily aggregated updates, LAG, Chen 2018,
// 1805.09965).
//
//   p = Δ + e          e: unsent, of the update before
//   send C(p)
//   e ← p − C(p)       when the update is accepted;  e ← p  when it is refused, for none of it has arrived
//
// With momentum correction (Deep Gradient Compression, Lin 2018, 1712.01887) Δ is not what is added, but a
// velocity u ← m u + Δ, which is cleared where something was sent (momentum factor masking).
#pragma once

#include <memory>
#include <optional>

#include "learning/compression/encoded_array.hpp"
#include "learning/parameters.hpp"
#include "messages/ids.hpp"
#include "messages/training.hpp"

namespace fl {

/// Immutable once made: it is shared by the actors of a client.
struct Residual {
  Parameters unsent;              ///< e; empty: nothing
  Parameters velocity;            ///< u; empty: none
  double sent_norm = 0;           ///< L2 of the last p that was sent
  std::uint32_t idle_deltas = 0;  ///< uploads left out in a row, up to now
};
using ResidualPtr = std::shared_ptr<const Residual>;  ///< null: nothing is left from before

/// What becomes of a delta.
struct PreparedUpload {
  Codec codec = {};
  GrowingBuffer bytes;  ///< C(p); empty when the upload is left out
  bool left_out = false;
  ResidualPtr after;  ///< once it was accepted or left out; null: nothing is left
};

/// Whether these settings need a residual from one task to the next.
bool keeps_residual(const Codec& codec, const UploadSettings& settings);

/// Takes Δ and what is left from before, and says what to send. `seed` is that of everything random. Fails
/// with `bad_config` for an unknown codec, `not_finite` when Δ holds what is no number, and `layout_mismatch`
/// when `before` is of another model.
Result<PreparedUpload> prepare_upload(const UploadSettings& settings, Parameters delta,
                                      const ResidualPtr& before, std::uint64_t seed);

/// What is left when the update was refused: e ← p = (p − C(p)) + C(p), to rounding. `after` is that of
/// prepare_upload, `sent` the update's array.
Result<ResidualPtr> after_refusal(const Residual& after, const EncodedArray& sent);

/// Where a client keeps its residual between two tasks. Used by one actor at a time; what is proposed
/// outlives it.
class ResidualStore {
 public:
  virtual ~ResidualStore() = default;

  /// From now on it is about this place in a run. What belongs to another is forgotten.
  virtual void select(const std::string& place) = 0;

  /// What is left from before; null: nothing. Fails when it cannot be read; then nothing is left.
  virtual Result<ResidualPtr> current(const LayoutPtr& layout) = 0;

  /// What will be left once the update of this task is accepted; to be called before the update is sent or
  /// spooled.
  virtual Result<void> propose(TaskId task, const ResidualPtr& after) = 0;

  /// The last proposal, if it is of this task; null: there is none.
  virtual Result<ResidualPtr> proposal(TaskId task, const LayoutPtr& layout) = 0;

  /// The proposal of this task is what is left now. Nothing when there is no such proposal.
  virtual Result<void> accept(TaskId task) = 0;

  /// This is what is left now; proposals are void.
  virtual Result<void> replace(const ResidualPtr& residual) = 0;
};

/// In memory.
class MemoryResiduals final : public ResidualStore {
 public:
  void select(const std::string& place) override;
  Result<ResidualPtr> current(const LayoutPtr& layout) override;
  Result<void> propose(TaskId task, const ResidualPtr& after) override;
  Result<ResidualPtr> proposal(TaskId task, const LayoutPtr& layout) override;
  Result<void> accept(TaskId task) override;
  Result<void> replace(const ResidualPtr& residual) override;

 private:
  std::string place_;
  ResidualPtr current_;
  std::optional<std::pair<TaskId, ResidualPtr>> proposal_;
};

}  // namespace fl
