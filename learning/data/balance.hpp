// What is done about labels of which a client has few samples: its rare ones are trained on more often, or
// count more. Labels of which it has none stay away: no client knows of data that is not its own.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "learning/data/dataset.hpp"
#include "messages/training.hpp"

namespace fl {

/// Samples of one epoch, repeats included, for a client with so many samples of each label: every label that
/// occurs at least ⌈ratio · those of the most frequent⌉ times. `samples` itself where nothing is repeated, or
/// no histogram is given.
std::uint64_t epoch_samples(const BalanceSettings& settings, std::uint64_t samples,
                            std::span<const std::uint64_t> histogram);
std::uint64_t epoch_samples(const BalanceSettings& settings, const DataView& data);

/// The rows that are to be trained on beside `data.rows`, grouped by label: of each rare label all rows in
/// turn, in an order that `seed` decides, until there are enough. Random oversampling as in Johnson and
/// Khoshgoftaar 2019 (Journal of Big Data 6:27), but no row is repeated twice more than another of its label.
std::vector<std::uint32_t> rare_repeats(const BalanceSettings& settings, const DataView& data,
                                        std::uint64_t seed);

/// How much a sample of each label counts in the class-balanced loss, [labels]: in proportion to (1 − β) / (1
/// − β^n), n its samples (Cui 2019, 1901.05555, equation 8). Scaled so that the mean over the client's
/// samples is 1, hence train.learning_rate means what it did. 0 for labels that do not occur; empty where
/// nothing is weighed.
std::vector<float> loss_weights(const BalanceSettings& settings, std::span<const std::uint64_t> histogram);

}  // namespace fl
