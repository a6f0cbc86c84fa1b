// How a client trains: the part of `train.*` that the aggregator decides and that travels in a task.
#pragma once

#include <cstdint>
#include <string>

#include "messages/as_bits.hpp"

namespace fl {

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

  bool operator==(const TrainingSettings&) const = default;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, TrainingSettings& x) {
  return f(x.epochs, x.steps, x.batch_size, as_bits(x.learning_rate), as_bits(x.momentum), x.nesterov,
           as_bits(x.weight_decay), x.optimizer, as_bits(x.proximal_mu));
}

}  // namespace fl
