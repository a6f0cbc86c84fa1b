// The LibTorch trainer, behind a factory: this header includes no torch, and only code that links it pays for
// it.
#pragma once

#include "learning/trainer.hpp"

namespace fl {

/// A trainer for the built-in models. Fails with `bad_config` for an unknown model, precision or device, or a
/// sample shape or class count that does not fit the model.
Result<TrainerPtr> make_torch_trainer(const TrainerOptions& options);

}  // namespace fl
