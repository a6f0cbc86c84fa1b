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
  /// What is dealt at once; valid until the next call.
  struct Dealt {
    std::span<const std::uint32_t> rows;
    std::span<const std::int64_t>
        repeats;  ///< places in `rows` of those that are dealt as repeats, ascending
  };

  /// `rows` not empty and without duplicates, `batch_size` ≥ 1. An epoch also deals `repeats`: rows that are
  /// among `rows`.
  /// With `pairs` a last batch of one joins the one before it.
  BatchOrder(std::vector<std::uint32_t> rows, std::size_t batch_size, std::uint64_t stream_seed,
             std::span<const std::uint32_t> repeats = {}, bool pairs = false);

  Dealt next();

  /// How many different rows have been dealt.
  std::size_t distinct_rows() const { return distinct_; }

  std::size_t batches_per_epoch() const {
    const auto all = (rows_.size() + batch_size_ - 1) / batch_size_;
    return all > 1 && leaves_one_out(rows_.size()) ? all - 1 : all;
  }

 private:
  void shuffle();
  /// Whether nothing but a last batch of one would be left behind so many rows of an epoch.
  bool leaves_one_out(std::size_t rows) const { return pairs_ && rows % batch_size_ == 1 && batch_size_ > 1; }
  bool is_repeat(std::uint32_t index) const { return index >= originals_; }
  void count(std::uint32_t index);

  std::vector<std::uint32_t> rows_;   ///< and the repeats after them
  std::size_t originals_;             ///< of rows_
  std::vector<std::uint32_t> order_;  ///< indices into rows_
  std::size_t batch_size_;
  bool pairs_;
  RandomStream random_;
  std::size_t position_ = 0;  ///< in order_
  bool first_epoch_ = true;
  std::size_t distinct_ = 0;
  std::vector<bool> dealt_;  ///< rows of the first epoch, by number; only where there are repeats
  std::vector<std::uint32_t> batch_rows_;
  std::vector<std::int64_t> batch_repeats_;
};

}  // namespace fl
