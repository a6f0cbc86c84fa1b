#include "learning/torch/batch_order.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace fl {

BatchOrder::BatchOrder(std::vector<std::uint32_t> rows, std::size_t batch_size, std::uint64_t stream_seed,
                       std::span<const std::uint32_t> repeats, bool pairs)
    : rows_(std::move(rows)),
      originals_(rows_.size()),
      batch_size_(batch_size),
      pairs_(pairs),
      random_(stream_seed) {
  if (!repeats.empty()) dealt_.resize(std::ranges::max(rows_) + std::size_t{1});
  rows_.insert(rows_.end(), repeats.begin(), repeats.end());
  order_.resize(rows_.size());
  std::iota(order_.begin(), order_.end(), 0u);
  shuffle();
}

BatchOrder::Dealt BatchOrder::next() {
  if (position_ == order_.size()) {
    position_ = 0;
    first_epoch_ = false;
    shuffle();
  }
  auto end = std::min(position_ + batch_size_, order_.size());
  if (end + 1 == order_.size() && leaves_one_out(order_.size())) ++end;
  batch_rows_.clear();
  batch_repeats_.clear();
  for (; position_ < end; ++position_) {
    const auto index = order_[position_];
    if (is_repeat(index)) batch_repeats_.push_back(static_cast<std::int64_t>(batch_rows_.size()));
    batch_rows_.push_back(rows_[index]);
    if (first_epoch_) count(index);
  }
  return {batch_rows_, batch_repeats_};
}

void BatchOrder::count(std::uint32_t index) {
  if (dealt_.empty()) {
    ++distinct_;
    return;
  }
  const auto row = rows_[index];
  if (!dealt_[row]) ++distinct_;
  dealt_[row] = true;
}

/// Fisher and Yates: every order is equally likely.
void BatchOrder::shuffle() {
  for (auto i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random_.below(i)]);
}

}  // namespace fl
