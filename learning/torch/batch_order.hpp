// In which order samples are trained on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "learning/random.hpp"

namespace fl {

/// Deals rows in batches, shuffled anew for each epoch; the last batch of an epoch is short where the batch
/// size does not divide the rows. Never ends.
class BatchOrder {
 public:
  /// `rows` not empty, `batch_size` ≥ 1.
  BatchOrder(std::vector<std::uint32_t> rows, std::size_t batch_size, std::uint64_t stream_seed);

  /// The rows of the next batch; valid until the next call.
  std::span<const std::uint32_t> next();

  /// How many different rows have been dealt.
  std::size_t distinct_rows() const { return first_epoch_ ? position_ : rows_.size(); }

  std::size_t batches_per_epoch() const { return (rows_.size() + batch_size_ - 1) / batch_size_; }

 private:
  void shuffle();

  std::vector<std::uint32_t> rows_;
  std::size_t batch_size_;
  RandomStream random_;
  std::size_t position_ = 0;
  bool first_epoch_ = true;
};

}  // namespace fl
