// Files of float32 arrays behind an envelope (fl.proto): snapshots, and what a client has not sent.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "learning/parameters.hpp"
#include "messages/envelope.hpp"

namespace fl {

/// An array and what it is called in the file.
struct NamedArray {
  std::string_view name;
  std::span<const float> values;
};

/// Writes the arrays behind `envelope`, whose sections they become, each with its checksum; atomically.
Result<void> write_arrays(const std::filesystem::path& file, Envelope envelope,
                          const std::vector<NamedArray>& arrays);

/// One array of a file whose header was read, verified. `required`: its absence is damage; else it is read as
/// empty. Fails with `corrupt_data`, `run_folder_refused` where it is coded in a way that is not known, or as
/// ByteSource::read does.
Result<Parameters> read_array(const ByteSource& file, const DecodedHeader& header, std::string_view name,
                              bool required, const LayoutPtr& layout);

}  // namespace fl
