#include "learning/torch/batch_order.hpp"

#include <algorithm>
#include <utility>

namespace fl {

BatchOrder::BatchOrder(std::vector<std::uint32_t> rows, std::size_t batch_size, std::uint64_t stream_seed)
    : rows_(std::move(rows)), batch_size_(batch_size), random_(stream_seed) {
  shuffle();
}

std::span<const std::uint32_t> BatchOrder::next() {
  if (position_ == rows_.size()) {
    position_ = 0;
    first_epoch_ = false;
    shuffle();
  }
  const auto count = std::min(batch_size_, rows_.size() - position_);
  const auto batch = std::span<const std::uint32_t>(rows_).subspan(position_, count);
  position_ += count;
  return batch;
}

/// Fisher and Yates: every order is equally likely.
void BatchOrder::shuffle() {
  for (auto i = rows_.size(); i > 1; --i) std::swap(rows_[i - 1], rows_[random_.below(i)]);
}

}  // namespace fl
