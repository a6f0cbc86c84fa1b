// A model as a file that `torch.jit.load` runs, in Python and in C++.
#pragma once

#include <filesystem>

#include "learning/torch/network.hpp"

namespace fl {

/// Writes to a temporary file beside `file` and renames it: no reader ever sees half a model. Fails with
/// `io_failed`.
Result<void> write_torchscript(const Network& network, const Parameters& model,
                               const std::filesystem::path& file);

}  // namespace fl
