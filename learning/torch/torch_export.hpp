// A model as a file that `torch.jit.load` runs, in Python and in C++.
#pragma once

#include <filesystem>

#include "learning/torch/network.hpp"

namespace fl {

/// The file's name inside model.pt for what ExportTerms::about says.
inline constexpr auto kAboutFile = "fl_actor.json";

/// Writes to a temporary file beside `file` and renames it: no reader ever sees half a model. Fails with
/// `io_failed`.
Result<void> write_torchscript(const Network& network, const Parameters& model,
                               const std::filesystem::path& file, const ExportTerms& terms);

}  // namespace fl
