// What training makes smaller: `train.loss`.
#pragma once

#include <cstdint>
#include <string>

#include "messages/errors.hpp"

namespace fl {

enum class LossName : std::uint8_t {
  cross_entropy,  ///< of logits [N, classes] against labels
  bce,            ///< binary cross-entropy of a logit [N] or [N, 1] against labels 0 and 1
  mse,            ///< squared error of a prediction [N] or [N, 1] against a number
  huber,          ///< squared up to an error of 1, linear beyond (Huber 1964)
};

/// Fails with `bad_config` for an unknown name.
Result<LossName> parse_loss(const std::string& name);
std::string to_string(LossName name);

/// Whether the targets are labels; else they are numbers.
inline bool is_classification(LossName name) {
  return name == LossName::cross_entropy || name == LossName::bce;
}

}  // namespace fl
