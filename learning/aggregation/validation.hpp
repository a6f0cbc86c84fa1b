// What an update must be before it may touch the model: the right model, the right length, finite numbers, no
// lies that can be seen. Runs in the session, off the aggregator.
#pragma once

#include "learning/aggregation/aggregation.hpp"
#include "messages/envelope.hpp"

namespace fl {

/// An update that was checked.
struct ValidUpdate {
  UpdateInfo info;
  EncodedArray payload;
  double norm = 0;  ///< L2, of what travelled
  std::uint64_t encoded_bytes = 0;
  std::uint64_t hash = 0;  ///< XXH3-64 of the encoded update, if known
  ClientId owner = 0;      ///< whose work it answers, and which (messages/types.hpp, Task)
  TaskId work = 0;
  double total_seconds = 0;  ///< from the lease to this update
};

/// What the update must answer.
struct UpdateExpectation {
  LayoutPtr layout;
  bool whole_model = false;      ///< FedAsync sends x_i instead of Δ_i
  bool evaluation_only = false;  ///< only base_evaluation is wanted, no numbers
  TaskId task = 0;
  Epoch epoch = 0;
  ClientId client = 0;
  Version base = 0;
  std::uint64_t max_samples = 0;             ///< what the client said it has
  std::uint64_t max_validation_samples = 0;  ///< likewise, to evaluate on
  ClientId owner = 0;                        ///< whose work the lease is, and which
  TaskId work = 0;
  double max_norm = 0;  ///< L2, of what travels: the delta, or with FedAsync the whole model; 0: no limit
};

/// The most classes that a client may count its samples of.
inline constexpr std::size_t kMaxClasses = 1u << 16;

/// What a client says it has must be possible: no more than kMaxClasses classes, whose samples add up to its
/// samples. Fails with `bad_claim`.
Result<void> check_ready(const Ready& ready);

/// Where the numbers of an update lie that was checked before, and how they are coded. Fails with
/// `corrupt_data`, `unsupported_format`, `layout_mismatch` or `wrong_length`.
Result<EncodedArray> locate_payload(const ByteSourcePtr& blob, const Layout& layout, bool whole_model);

/// Decodes and checks one update blob, reading the numbers once. Fails with `corrupt_data`,
/// `unsupported_format`, `layout_mismatch`, `unknown_lease`, `wrong_length`, `not_finite`, `bad_claim` or
/// `norm_too_large`.
Result<ValidUpdate> validate_update(const ByteSourcePtr& blob, const UpdateExpectation& expected);

/// An update blob whose numbers are yet to be written to `values()`: the layout's floats, or none when it
/// only answers an evaluation.
struct UpdateBlob {
  AlignedBuffer buffer;
  std::uint64_t payload_offset = 0;
  std::span<float> values();
};
UpdateBlob make_update_blob(const UpdateInfo& info, const Layout& layout, bool whole_model);

/// An update blob of a coded delta.
UpdateBlob make_update_blob(const UpdateInfo& info, const Layout& layout, const Codec& codec,
                            std::span<const std::byte> coded);
UpdateBlob make_evaluation_blob(const UpdateInfo& info, const Layout& layout);

}  // namespace fl
