#include "runtime/run_folder.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <ctime>
#include <fstream>
#include <sstream>

#include "messages/durable_step.hpp"
#include "runtime/atomic_file.hpp"
#include "runtime/run_store.hpp"

namespace fl {

namespace fs = std::filesystem;

namespace {

constexpr auto kLockName = "lock";
constexpr auto kConfigName = "config.toml";

/// What a run leaves in its folder.
constexpr std::array kRunNames = {kLockName,       kConfigName, "run.db", "run.db-wal",  "run.db-shm",
                                  "metrics.jsonl", "client.db", "spool",  "checkpoints", "data.json"};

bool is_there(const fs::path& path) {
  auto error = std::error_code();
  return fs::exists(path, error);
}

tl::unexpected<Error> refuse(const fs::path& folder, const std::string& text) {
  return fail(ec::run_folder_refused, folder.string() + " " + text);
}

// -- The lock -------------------------------------------------------------------------------------
// An open file description lock: it ends with the process however that ends, and others can ask about it
// without taking it.

struct flock whole_file_lock() {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

bool try_lock(const FileDescriptor& file) {
  auto lock = whole_file_lock();
  return ::fcntl(file.get(), F_OFD_SETLK, &lock) == 0;
}

bool is_locked(const FileDescriptor& file) {
  auto lock = whole_file_lock();
  return ::fcntl(file.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

Result<void> write_holder(const FileDescriptor& file, const fs::path& path,
                          const std::optional<HostPort>& address) {
  auto text = "process " + std::to_string(::getpid()) + "\n";
  if (address) text += "host " + address->host + "\nport " + std::to_string(address->port.value_or(0)) + "\n";
  if (auto ok = durable_step("write", path); !ok) return ok;
  if (::pwrite(file.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
      ::ftruncate(file.get(), static_cast<off_t>(text.size())) != 0)
    return tl::unexpected(system_error("cannot write", path));
  return {};
}

RunFolderHolder read_holder(const fs::path& path) {
  auto holder = RunFolderHolder();
  auto address = HostPort();
  auto file = std::ifstream(path);
  for (auto word = std::string(); file >> word;) {
    auto port = std::uint16_t{0};
    if (word == "process") file >> holder.process;
    if (word == "host") file >> address.host;
    if (word == "port" && file >> port) address.port = port;
  }
  if (!address.host.empty() && address.port) holder.address = address;
  return holder;
}

tl::unexpected<Error> refuse_held(const fs::path& folder, const RunFolderHolder& holder) {
  auto who = "process " + std::to_string(holder.process);
  if (holder.address)
    who += ", which listens on " + holder.address->host + ":" + std::to_string(*holder.address->port);
  return refuse(folder, "is in use by " + who + "; wait for it, stop it (fl_actor_node stop " +
                            folder.string() + ") or choose another --out");
}

// -- What is there --------------------------------------------------------------------------------

bool holds_run(const fs::path& folder) {
  return is_there(folder / "run.db") || is_there(folder / "checkpoints") ||
         (is_there(folder / kConfigName) && !is_there(folder / "client.db"));
}

Result<RunFolder::Start> examine_run(const fs::path& folder, const Config& config) {
  if (is_there(folder / kConfigName)) {
    const auto stored = load_config(ConfigSources{{folder / kConfigName}, {}});
    if (!stored) return refuse(folder, "cannot be resumed: " + stored.error().text);
    if (const auto difference = first_identity_difference(*stored, config))
      return refuse(folder, "holds another run: its " + difference->key + " is " + difference->stored +
                                ", here it is " + difference->wanted +
                                "; resume it with its own settings (leave --config out), or choose "
                                "another --out");
  }
  const auto run = read_stored_run(folder);
  if (!run) return refuse(folder, "cannot be resumed: " + run.error().text);
  const auto completed = *run && (*run)->state == RunState::completed;
  return completed ? RunFolder::Start::completed : RunFolder::Start::resumed;
}

/// Everything but the lock.
Result<RunFolder::Start> examine_content(const fs::path& folder, const RunFolderRequest& request,
                                         const Config& config) {
  auto error = std::error_code();
  const auto status = fs::status(folder, error);
  if (!fs::exists(status)) return RunFolder::Start::fresh;
  if (!fs::is_directory(status)) return refuse(folder, "is not a folder; choose another --out");
  if (request.role == Role::client) {
    if (is_there(folder / "run.db"))
      return refuse(folder, "holds the run of a server, not a client's; choose another --out");
    return RunFolder::Start::fresh;
  }
  if (!holds_run(folder)) return RunFolder::Start::fresh;
  if (!request.resume)
    return refuse(folder, "already holds a run; go on with it by --resume, or choose another --out");
  return examine_run(folder, config);
}

fs::path default_folder(Role role) {
  const auto now = std::time(nullptr);
  auto utc = std::tm();
  ::gmtime_r(&now, &utc);
  auto stamp = std::array<char, 32>();
  std::strftime(stamp.data(), stamp.size(), "%Y%m%dT%H%M%SZ", &utc);
  const auto name = "runs/" + std::string(stamp.data()) + "-" + std::string(to_string(role));
  auto folder = fs::path(name);
  for (auto next = 2; is_there(folder); ++next) folder = name + "-" + std::to_string(next);
  return folder;
}

}  // namespace

std::optional<RunFolderHolder> holder_of(const fs::path& folder) {
  const auto path = folder / kLockName;
  const auto file = FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file || !is_locked(file)) return std::nullopt;
  return read_holder(path);
}

// -- Opening --------------------------------------------------------------------------------------

Result<RunFolder::Start> RunFolder::examine(const RunFolderRequest& request, const Config& config) {
  if (!request.folder) return Start::fresh;
  if (const auto holder = holder_of(*request.folder)) return refuse_held(*request.folder, *holder);
  return examine_content(*request.folder, request, config);
}

Result<RunFolder> RunFolder::open(const RunFolderRequest& request, const Config& config) {
  auto result = RunFolder();
  result.path_ = request.folder ? *request.folder : default_folder(request.role);
  auto start = examine(request, config);
  if (!start) return tl::unexpected(start.error());
  result.start_ = *start;
  if (result.start_ == Start::completed) return result;

  for (const auto* name : kRunNames) {
    if (is_there(result.path_ / name)) result.found_.insert(name);
  }
  auto error = std::error_code();
  result.created_ = fs::create_directories(result.path_, error);
  if (error) return refuse(result.path_, "cannot be created: " + error.message() + "; choose another --out");
  auto taken = result.take(request, config);
  if (!taken) {
    std::move(result).discard();
    return tl::unexpected(taken.error());
  }
  if (request.resume && result.start_ == Start::fresh)
    spdlog::warn("{} holds no run to resume; starting afresh", result.path_.string());
  return result;
}

Result<void> RunFolder::take(const RunFolderRequest& request, const Config& config) {
  const auto lock_path = path_ / kLockName;
  constexpr auto mode = S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH;
  auto lock = FileDescriptor(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, mode));
  if (!lock)
    return refuse(path_, "cannot be written: " + system_error("cannot open", lock_path).text +
                             "; choose another --out");
  if (!try_lock(lock)) {
    found_.insert(kLockName);  // another start was faster: the file is its own
    return refuse_held(path_, read_holder(lock_path));
  }
  lock_ = std::move(lock);
  // What was seen before the lock may have changed.
  const auto start = examine_content(path_, request, config);
  if (!start) return tl::unexpected(start.error());
  start_ = *start;
  if (auto ok = write_holder(lock_, lock_path, std::nullopt); !ok) return ok;
  if (auto ok = write_atomically(path_ / kConfigName, to_toml(config)); !ok)
    return refuse(path_, "cannot be written: " + ok.error().text);
  return {};
}

Result<void> RunFolder::announce(const HostPort& address) {
  return write_holder(lock_, path_ / kLockName, address);
}

void RunFolder::discard() && {
  auto error = std::error_code();
  if (start_ == Start::fresh) {
    for (const auto* name : kRunNames) {
      if (!found_.contains(name)) fs::remove_all(path_ / name, error);
    }
    if (created_) fs::remove(path_, error);
  }
  lock_ = FileDescriptor();
}

}  // namespace fl
