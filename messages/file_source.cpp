#include "messages/file_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace fl {

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Error system_error(const std::string& what, const std::filesystem::path& path) {
  return {ec::io_failed, what + " " + path.string() + ": " + std::strerror(errno)};
}

Result<std::shared_ptr<const FileSource>> FileSource::open(const std::filesystem::path& path) {
  auto file = FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return tl::unexpected(system_error("cannot open", path));
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0) return tl::unexpected(system_error("cannot examine", path));
  return std::make_shared<const FileSource>(std::move(file), static_cast<std::uint64_t>(status.st_size),
                                            path);
}

FileSource::FileSource(FileDescriptor file, std::uint64_t size, std::filesystem::path path)
    : file_(std::move(file)), size_(size), path_(std::move(path)) {}

Result<void> FileSource::read(std::uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const auto got = ::pread(file_.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return tl::unexpected(system_error("cannot read", path_));
    if (got == 0)
      return fail(ec::corrupt_data, path_.string() + " ends at byte " + std::to_string(offset) + ", " +
                                        std::to_string(out.size()) + " bytes too early");
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

FileSink::FileSink(FileDescriptor file, std::uint64_t size, std::filesystem::path path)
    : file_(std::move(file)), size_(size), path_(std::move(path)) {}

Result<FileSink> FileSink::create(const std::filesystem::path& folder, std::uint64_t size) {
  auto file = FileDescriptor(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) {
    // Not every file system has unnamed files: make one with a name and take the name away.
    auto name = (folder / "receiving-XXXXXX").string();
    file = FileDescriptor(::mkostemp(name.data(), O_CLOEXEC));
    if (!file) return tl::unexpected(system_error("cannot create a file in", folder));
    ::unlink(name.c_str());
  }
  if (size > 0) {
    if (const auto error = ::posix_fallocate(file.get(), 0, static_cast<off_t>(size)); error != 0) {
      errno = error;
      return tl::unexpected(system_error("cannot take " + std::to_string(size) + " bytes in", folder));
    }
  }
  return FileSink(std::move(file), size, folder / "(unnamed)");
}

Result<void> FileSink::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (offset > size_ || bytes.size() > size_ - offset)
    return fail(ec::wrong_length, "bytes beyond the announced end at " + std::to_string(size_));
  while (!bytes.empty()) {
    const auto written = ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return tl::unexpected(system_error("cannot write", path_));
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

std::shared_ptr<const FileSource> FileSink::finish() && {
  return std::make_shared<const FileSource>(std::move(file_), size_, std::move(path_));
}

}  // namespace fl
