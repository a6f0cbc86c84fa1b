// Bytes in files: read in parts without holding them in memory, and received in order.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "messages/bytes.hpp"

namespace fl {

/// A file descriptor that closes itself.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor();

  int get() const { return descriptor_; }
  explicit operator bool() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
};

/// "no such file or directory" and its like for the current errno, with the path: `store_full` when there is
/// no room, else `io_failed`.
Error system_error(const std::string& what, const std::filesystem::path& path);

/// A readable file.
class FileSource final : public ByteSource {
 public:
  static Result<std::shared_ptr<const FileSource>> open(const std::filesystem::path& path);
  FileSource(FileDescriptor file, std::uint64_t size, std::filesystem::path path);

  std::uint64_t size() const override { return size_; }
  Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override;

  /// Moves the file to another name on the same file system and flushes its bytes to disk (not the folders);
  /// readers go on undisturbed. Its pages leave the page cache: what is kept was folded before, and is read
  /// again after a crash at most, so that what comes next finds room. Once more does no harm. Fails with
  /// `io_failed` when the file lost its old name and has not that one, whatever stands there.
  Result<void> keep_as(const std::filesystem::path& path) const;

 private:
  bool is_at(const std::filesystem::path& path) const;

  FileDescriptor file_;
  std::uint64_t size_;
  std::filesystem::path path_;
};

/// A file of stated size that is filled and then read. Space is taken when it is made, so a full disk is
/// noticed before the first byte travels.
class FileSink {
 public:
  /// Without a name; its space is freed with the last reader.
  static Result<FileSink> create(const std::filesystem::path& folder, std::uint64_t size);

  /// With a name, so that filling it can go on in another process: `length` says from where.
  static Result<FileSink> open_named(const std::filesystem::path& file, std::uint64_t size);
  Result<std::uint64_t> length() const;
  Result<void> read(std::uint64_t offset, std::span<std::byte> out) const;

  Result<void> write(std::uint64_t offset, std::span<const std::byte> bytes);
  /// Takes back all that was written.
  Result<void> clear();
  /// Lets the disk begin with what was written, without waiting, so that a flush finds little left to do.
  void start_flush();
  /// Ends writing: the same file, to read.
  std::shared_ptr<const FileSource> finish() &&;

 private:
  FileSink(FileDescriptor file, std::uint64_t size, std::filesystem::path path);
  FileDescriptor file_;
  std::uint64_t size_ = 0;
  std::filesystem::path path_;
  std::uint64_t flushing_ = 0;  ///< up to where the disk was told to begin
};

}  // namespace fl
