#include "runtime/durable_steps.hpp"

#include <signal.h>
#include <sqlite3.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <string>

namespace fl {

namespace {

// -- SQLite's system calls ------------------------------------------------------------------------
// Its file layer lets a program put others in their place, which is how SQLite is tested itself.

bool step_on(const char* step, const std::filesystem::path& file) {
  if (durable_step(step, file)) return true;
  errno = ENOSPC;
  return false;
}

bool step_on(const char* step, int descriptor) {
  auto error = std::error_code();
  return step_on(step, std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor), error));
}

ssize_t sqlite_write(int file, const void* bytes, size_t size) {
  return step_on("write", file) ? ::write(file, bytes, size) : -1;
}
ssize_t sqlite_pwrite(int file, const void* bytes, size_t size, off_t offset) {
  return step_on("write", file) ? ::pwrite(file, bytes, size, offset) : -1;
}
int sqlite_truncate(int file, off_t size) {
  return step_on("truncate", file) ? ::ftruncate(file, size) : -1;
}
int sqlite_unlink(const char* path) {
  return step_on("remove", std::filesystem::path(path)) ? ::unlink(path) : -1;
}

void report_sqlite_calls() {
  auto* const files = sqlite3_vfs_find(nullptr);
  const auto replace = [&](const char* name, sqlite3_syscall_ptr call) {
    if (files->xGetSystemCall(files, name)) files->xSetSystemCall(files, name, call);
  };
  replace("write", reinterpret_cast<sqlite3_syscall_ptr>(sqlite_write));
  replace("pwrite", reinterpret_cast<sqlite3_syscall_ptr>(sqlite_pwrite));
  replace("pwrite64", reinterpret_cast<sqlite3_syscall_ptr>(sqlite_pwrite));
  replace("ftruncate", reinterpret_cast<sqlite3_syscall_ptr>(sqlite_truncate));
  replace("unlink", reinterpret_cast<sqlite3_syscall_ptr>(sqlite_unlink));
}

}  // namespace

void set_durable_step_hook_with_sqlite(DurableStepHook hook) {
  report_sqlite_calls();
  set_durable_step_hook(std::move(hook));
}

void die_at_durable_step(std::uint64_t n) {
  const auto left = std::make_shared<std::atomic<std::uint64_t>>(n);
  set_durable_step_hook_with_sqlite([left, n](std::string_view step,
                                              const std::filesystem::path& file) -> Result<void> {
    if (left->fetch_sub(1) != 1) return {};
    const auto line =
        "chaos: process@write=" + std::to_string(n) + ": " + std::string(step) + " " + file.string() + "\n";
    (void)!::write(STDERR_FILENO, line.data(), line.size());
    ::kill(::getpid(), SIGKILL);
    for (;;) ::pause();
  });
}

}  // namespace fl
