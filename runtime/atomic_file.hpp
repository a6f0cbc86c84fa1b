// A file that appears whole or not at all: written under a temporary name in the same folder, flushed,
// renamed.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include "messages/errors.hpp"
#include "messages/file_source.hpp"

namespace fl {

/// The ending of temporary names.
inline constexpr std::string_view kTemporaryEnding = ".tmp";

/// Only one process writes to a folder at a time (run_folder.hpp), so temporary names are fixed.
class AtomicFile {
 public:
  static Result<AtomicFile> create(std::filesystem::path file);

  AtomicFile(AtomicFile&&) noexcept = default;
  AtomicFile& operator=(AtomicFile&&) noexcept = default;
  /// Removes the temporary file unless it was committed.
  ~AtomicFile();

  Result<void> write(std::span<const std::byte> bytes);
  Result<void> write(std::string_view text);

  /// Flushes the file to disk, gives it its name, flushes the folder.
  Result<void> commit();

 private:
  AtomicFile(std::filesystem::path file, FileDescriptor descriptor);
  std::filesystem::path temporary() const;

  std::filesystem::path file_;
  FileDescriptor descriptor_;
};

/// Removes a file if it is there. A failure is none: what is left is removed another time.
void remove_file(const std::filesystem::path& file);

/// Renames and new files in a folder are on disk only when the folder is.
Result<void> flush_folder(const std::filesystem::path& folder);

/// The whole of a small file at once.
Result<void> write_atomically(const std::filesystem::path& file, std::string_view text);

/// The same of any bytes, a part at a time where they do not lie in memory. Fails as their reading does, too.
Result<void> write_atomically(const std::filesystem::path& file, const ByteSource& bytes);

}  // namespace fl
