// How a client trains and sends: the part of `train.*` and `upload.*` that the aggregator decides and that
// travels in a task.
#pragma once

#include <cstdint>
#include <string>

#include "messages/as_bits.hpp"

namespace fl {

/// How image samples are changed at random before a client trains on them: learning/torch/augmentation.hpp.
struct AugmentationSettings {
  bool all = false;       ///< every sample, anew each time; false: only what balance = "augment" adds
  double shift = 0.1;     ///< at most this share of the width and of the height, each way, in [0, 1]
  double rotation = 10;   ///< degrees at most, each way, in [0, 180]
  double scale = 0.1;     ///< at most this share smaller or larger, in [0, 1)
  double elastic = 0.03;  ///< standard deviation of local shifts, as a share of the width, in [0, 1]
  double erasing = 0;     ///< probability that a rectangle is erased, in [0, 1]

  bool operator==(const AugmentationSettings&) const = default;
};

/// What is done about labels of which a client has few samples: learning/data/balance.hpp.
struct BalanceSettings {
  std::string name =
      "none";            ///< "none" | "oversample" | "augment": repeats of them, as they are or augmented
  double ratio = 1;      ///< to the client's most frequent label that the others are brought up to, in (0, 1]
  double loss_beta = 0;  ///< β of the class-balanced loss (Cui 2019, 1901.05555), in [0, 1); 0: none

  bool adds_samples() const { return name != "none"; }
  bool operator==(const BalanceSettings&) const = default;
};

/// Settings of local training. Defaults are those of configs/default.toml.
struct TrainingSettings {
  std::uint32_t epochs = 1;       ///< passes over the client's data, ≥ 1; used when steps is 0
  std::uint32_t steps = 0;        ///< exact number of batches; 0: as many as the epochs need
  std::uint32_t batch_size = 32;  ///< samples, ≥ 1
  double learning_rate = 0.01;    ///< > 0
  double momentum = 0;            ///< of SGD, in [0, 1)
  bool nesterov = false;          ///< needs momentum > 0
  double weight_decay = 0;        ///< L2 penalty, ≥ 0
  std::string optimizer = "sgd";  ///< "sgd" | "adam"
  double proximal_mu = 0;         ///< FedProx: adds µ/2 ‖x − x_base‖² to the loss (1812.06127), ≥ 0
  bool masked = false;            ///< prunable weights that are 0 in the base stay 0 (learning/pruning.hpp)
  AugmentationSettings augmentation;
  BalanceSettings balance;

  /// Whether any sample is changed at random.
  bool augments() const { return augmentation.all || balance.name == "augment"; }
  bool operator==(const TrainingSettings&) const = default;
};

/// How a client sends what it has learnt: decided by the aggregator, and travels in a task.
struct UploadSettings {
  std::string codec = "none";  ///< of the delta: learning/compression/codec.hpp
  double momentum = 0;  ///< m of momentum correction (Deep Gradient Compression, 1712.01887), in [0, 1)
  std::uint32_t max_idle_deltas = 0;  ///< uploads in a row that may be left out; 0: none
  double idle_below = 0.5;  ///< left out is a delta whose norm is below this share of the last one sent

  bool operator==(const UploadSettings&) const = default;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, AugmentationSettings& x) {
  return f(x.all, as_bits(x.shift), as_bits(x.rotation), as_bits(x.scale), as_bits(x.elastic),
           as_bits(x.erasing));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, BalanceSettings& x) {
  return f(x.name, as_bits(x.ratio), as_bits(x.loss_beta));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, TrainingSettings& x) {
  return f(x.epochs, x.steps, x.batch_size, as_bits(x.learning_rate), as_bits(x.momentum), x.nesterov,
           as_bits(x.weight_decay), x.optimizer, as_bits(x.proximal_mu), x.masked, x.augmentation, x.balance);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, UploadSettings& x) {
  return f(x.codec, as_bits(x.momentum), x.max_idle_deltas, as_bits(x.idle_below));
}

}  // namespace fl
