// What is in a file of a model: a snapshot, a kept update, or safetensors.
#pragma once

#include <filesystem>

#include "messages/errors.hpp"
#include "runtime/report.hpp"

namespace fl {

/// Says what the file is, and of each tensor its shape, number of values, least, greatest and mean. Reads all
/// of it, a part at a time, and verifies what has a checksum: each array of a snapshot, and an update that
/// still lies in its run's folder. The tensors of an update are known where a snapshot of the run lies beside
/// it; otherwise it is one array. Fails with `corrupt_data` (damaged, or none of these), `unsupported_format`
/// (of a newer program) or `io_failed`; the text names the file and the place.
Result<Report> describe_model_file(const std::filesystem::path& file);

}  // namespace fl
