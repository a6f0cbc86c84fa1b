// DIR/tensorboard/: the numbers of each version as TensorBoard reads them.
//
// An event file is records of
//   u64    length of the data, little-endian
//   u32    masked CRC-32C of these 8 bytes
//   data   an Event of tensorboard.proto
//   u32    masked CRC-32C of the data
// where masked(c) = (c rotated right by 15 bits) + 0xa282ead8. The first event names the format.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "actors/run_storage.hpp"
#include "messages/file_source.hpp"

namespace fl {

/// CRC-32C (Castagnoli) of the bytes, masked as above.
std::uint32_t masked_crc32c(std::string_view bytes);

/// The event file of one life of a run, begun with the first record. What cannot be written is left out, and
/// the log says so once: the run goes on. For one thread at a time.
class TensorboardFile {
 public:
  /// `folder`: made when it is not there.
  explicit TensorboardFile(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// The run goes on with this version: what there may be of it and of later ones is void. To be called in
  /// each life: TensorBoard takes the first such event for the beginning, and heeds those behind it.
  void go_on_with(Version version);

  /// The version's scalars. Their step is its number, their time now.
  void append(const VersionRecord& version);

 private:
  Result<void> write(const VersionRecord& version);
  Result<void> create();

  std::filesystem::path folder_;
  std::filesystem::path path_;  ///< of the file, once there is one
  FileDescriptor file_;
  std::uint64_t size_ = 0;               ///< of its whole records, in bytes
  std::optional<Version> goes_on_with_;  ///< not said yet
  bool complained_ = false;
};

}  // namespace fl
