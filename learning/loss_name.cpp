#include "learning/loss_name.hpp"

#include "learning/aggregation/names.hpp"

namespace fl {

namespace {

constexpr Names<LossName, 4> kLossNames = {{{"cross_entropy", LossName::cross_entropy},
                                            {"bce", LossName::bce},
                                            {"mse", LossName::mse},
                                            {"huber", LossName::huber}}};

}  // namespace

Result<LossName> parse_loss(const std::string& name) {
  return parse_name(kLossNames, "train.loss", name);
}

std::string to_string(LossName name) {
  return name_in(kLossNames, name);
}

}  // namespace fl
