// A model in the safetensors format, which most tools of machine learning read.
//
//   8 bytes   length of the header, little-endian, a multiple of 8
//   header    JSON: tensor name → {dtype "F32", shape, data_offsets}, and "__metadata__" → strings
//   data      float32, little-endian
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "learning/parameters.hpp"
#include "learning/quantized_export.hpp"
#include "messages/bytes.hpp"

namespace fl {

/// Writes all tensors of `model`, atomically. Fails with `io_failed`.
Result<void> write_safetensors(const Parameters& model, const std::map<std::string, std::string>& metadata,
                               const std::filesystem::path& file);

/// Writes a model in 8 bits: each quantised tensor NAME as I8, and its scales as NAME.scale, F32 [channels];
/// the rest as F32.
Result<void> write_safetensors(const QuantizedModel& model,
                               const std::map<std::string, std::string>& metadata,
                               const std::filesystem::path& file);

/// A tensor in a file.
struct StoredTensor {
  std::string name;
  std::string dtype;  ///< "F32", "I8", …; any that the file's writer knew
  std::vector<std::int64_t> shape;
  std::uint64_t values = 0;      ///< the product of the shape
  std::uint64_t offset = 0;      ///< in bytes from the file's start
  std::uint64_t size_bytes = 0;  ///< within the file
};

struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;
  std::vector<StoredTensor> tensors;  ///< in the order of their bytes
};

/// Reads what a file says of its tensors; not the numbers. Trusts no length. Fails with `corrupt_data`, or as
/// ByteSource::read does.
Result<SafetensorsHeader> read_safetensors_header(const ByteSource& file);

}  // namespace fl
