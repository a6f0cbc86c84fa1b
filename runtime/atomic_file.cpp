#include "runtime/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "messages/durable_step.hpp"

namespace fl {

namespace {

/// Bytes read and written at a time.
constexpr std::uint64_t kPart_bytes = std::uint64_t{1} << 20;

}  // namespace

Result<void> flush_folder(const std::filesystem::path& folder) {
  if (auto ok = durable_step("flush folder", folder); !ok) return ok;
  const auto descriptor = FileDescriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!descriptor || ::fsync(descriptor.get()) != 0)
    return tl::unexpected(system_error("cannot flush", folder));
  return {};
}

void remove_file(const std::filesystem::path& file) {
  auto error = std::error_code();
  if (durable_step("remove", file)) std::filesystem::remove(file, error);
}

AtomicFile::AtomicFile(std::filesystem::path file, FileDescriptor descriptor)
    : file_(std::move(file)), descriptor_(std::move(descriptor)) {}

std::filesystem::path AtomicFile::temporary() const {
  return file_.string() + std::string(kTemporaryEnding);
}

Result<AtomicFile> AtomicFile::create(std::filesystem::path file) {
  if (auto ok = durable_step("create", file); !ok) return tl::unexpected(ok.error());
  auto result = AtomicFile(std::move(file), {});
  constexpr auto mode = S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH;
  result.descriptor_ =
      FileDescriptor(::open(result.temporary().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!result.descriptor_) return tl::unexpected(system_error("cannot create", result.temporary()));
  return result;
}

AtomicFile::~AtomicFile() {
  if (descriptor_) ::unlink(temporary().c_str());
}

Result<void> AtomicFile::write(std::span<const std::byte> bytes) {
  if (auto ok = durable_step("write", file_); !ok) return ok;
  while (!bytes.empty()) {
    const auto written = ::write(descriptor_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return tl::unexpected(system_error("cannot write", temporary()));
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> AtomicFile::write(std::string_view text) {
  return write(std::as_bytes(std::span(text)));
}

Result<void> AtomicFile::commit() {
  if (auto ok = durable_step("flush", file_); !ok) return ok;
  if (::fsync(descriptor_.get()) != 0) return tl::unexpected(system_error("cannot flush", temporary()));
  if (auto ok = durable_step("rename", file_); !ok) return ok;
  if (::rename(temporary().c_str(), file_.c_str()) != 0)
    return tl::unexpected(system_error("cannot write", file_));
  descriptor_ = FileDescriptor();
  return flush_folder(file_.has_parent_path() ? file_.parent_path() : std::filesystem::path("."));
}

Result<void> write_atomically(const std::filesystem::path& file, std::string_view text) {
  auto output = AtomicFile::create(file);
  if (!output) return tl::unexpected(output.error());
  if (auto ok = output->write(text); !ok) return ok;
  return output->commit();
}

Result<void> write_atomically(const std::filesystem::path& file, const ByteSource& bytes) {
  auto output = AtomicFile::create(file);
  if (!output) return tl::unexpected(output.error());
  for (auto offset = std::uint64_t{0}; offset < bytes.size(); offset += kPart_bytes) {
    const auto part = bytes.part(offset, std::min(kPart_bytes, bytes.size() - offset));
    if (!part) return tl::unexpected(part.error());
    if (auto ok = output->write(part->view()); !ok) return ok;
  }
  return output->commit();
}

}  // namespace fl
