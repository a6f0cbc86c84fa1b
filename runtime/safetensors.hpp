// A model in the safetensors format, which most tools of machine learning read.
//
//   8 bytes   length of the header, little-endian, a multiple of 8
//   header    JSON: tensor name → {dtype "F32", shape, data_offsets}, and "__metadata__" → strings
//   data      float32, little-endian
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "learning/parameters.hpp"
#include "learning/quantized_export.hpp"

namespace fl {

/// Writes all tensors of `model`, atomically. Fails with `io_failed`.
Result<void> write_safetensors(const Parameters& model, const std::map<std::string, std::string>& metadata,
                               const std::filesystem::path& file);

/// Writes a model in 8 bits: each quantised tensor NAME as I8, and its scales as NAME.scale, F32 [channels];
/// the rest as F32.
Result<void> write_safetensors(const QuantizedModel& model,
                               const std::map<std::string, std::string>& metadata,
                               const std::filesystem::path& file);

}  // namespace fl
