#include "messages/file_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "messages/durable_step.hpp"

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
  const auto full = errno == ENOSPC || errno == EDQUOT;
  return {full ? ec::store_full : ec::io_failed, what + " " + path.string() + ": " + std::strerror(errno)};
}

namespace {

/// Of a file that is being written, handed to the disk at a time.
constexpr std::uint64_t kFlushPart_bytes = std::uint64_t{1} << 20;

Result<void> read_fully(int file, const std::filesystem::path& path, std::uint64_t offset,
                        std::span<std::byte> out) {
  while (!out.empty()) {
    const auto got = ::pread(file, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return tl::unexpected(system_error("cannot read", path));
    if (got == 0)
      return fail(ec::corrupt_data, path.string() + " ends at byte " + std::to_string(offset) + ", " +
                                        std::to_string(out.size()) + " bytes too early");
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

}  // namespace

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
  return read_fully(file_.get(), path_, offset, out);
}

bool FileSource::is_at(const std::filesystem::path& path) const {
  struct stat there = {};
  struct stat ours = {};
  const auto reason = errno;
  const auto same = ::stat(path.c_str(), &there) == 0 && ::fstat(file_.get(), &ours) == 0 &&
                    there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
  errno = reason;
  return same;
}

Result<void> FileSource::keep_as(const std::filesystem::path& path) const {
  if (auto ok = durable_step("rename", path_); !ok) return ok;
  // A commit that is repeated finds its file moved already; under that name there may be another one, too.
  if (::rename(path_.c_str(), path.c_str()) != 0 && (errno != ENOENT || !is_at(path)))
    return tl::unexpected(system_error("cannot move to " + path.string() + " the file", path_));
  if (auto ok = durable_step("flush", path); !ok) return ok;
  if (::fdatasync(file_.get()) != 0) return tl::unexpected(system_error("cannot flush", path));
#ifdef POSIX_FADV_DONTNEED
  (void)::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_DONTNEED);
#endif
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

Result<FileSink> FileSink::open_named(const std::filesystem::path& file, std::uint64_t size) {
  if (auto ok = durable_step("create", file); !ok) return tl::unexpected(ok.error());
  auto descriptor = FileDescriptor(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!descriptor) return tl::unexpected(system_error("cannot create", file));
#ifdef FALLOC_FL_KEEP_SIZE
  // Takes the space, but leaves the length: it says how much is there already.
  if (size > 0 && ::fallocate(descriptor.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size)) != 0 &&
      errno != EOPNOTSUPP)
    return tl::unexpected(system_error("cannot take " + std::to_string(size) + " bytes for", file));
#endif
  return FileSink(std::move(descriptor), size, file);
}

Result<std::uint64_t> FileSink::length() const {
  struct stat status = {};
  if (::fstat(file_.get(), &status) != 0) return tl::unexpected(system_error("cannot examine", path_));
  return static_cast<std::uint64_t>(status.st_size);
}

Result<void> FileSink::read(std::uint64_t offset, std::span<std::byte> out) const {
  return read_fully(file_.get(), path_, offset, out);
}

Result<void> FileSink::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (offset > size_ || bytes.size() > size_ - offset)
    return fail(ec::wrong_length, "bytes beyond the announced end at " + std::to_string(size_));
  if (auto ok = durable_step("write", path_); !ok) return ok;
  while (!bytes.empty()) {
    const auto written = ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return tl::unexpected(system_error("cannot write", path_));
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

void FileSink::start_flush() {
#ifdef SYNC_FILE_RANGE_WRITE
  const auto end = length().value_or(0);
  if (end < flushing_ + kFlushPart_bytes && end < size_) return;
  (void)::sync_file_range(file_.get(), static_cast<off_t>(flushing_), static_cast<off_t>(end - flushing_),
                          SYNC_FILE_RANGE_WRITE);
  flushing_ = end;
#endif
}

Result<void> FileSink::clear() {
  if (::ftruncate(file_.get(), 0) != 0) return tl::unexpected(system_error("cannot empty", path_));
  return {};
}

std::shared_ptr<const FileSource> FileSink::finish() && {
  return std::make_shared<const FileSource>(std::move(file_), size_, std::move(path_));
}

}  // namespace fl
