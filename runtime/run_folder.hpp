// The folder of one run, held by one process at a time.
//
//   DIR/lock           locked while a process works here; says who
//   DIR/config.toml    the settings, as resolved
//   DIR/run.db, metrics.jsonl, checkpoints/, spool/         run_store.hpp
//   DIR/summary.json, model.safetensors, model.pt           at the end
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "messages/file_source.hpp"
#include "runtime/command_line.hpp"
#include "runtime/config.hpp"

namespace fl {

/// Which folder, and what for.
struct RunFolderRequest {
  std::optional<std::filesystem::path> folder;  ///< none: runs/<UTC time>-<role> here
  Role role = Role::simulate;
  bool resume = false;
};

/// Who works in a folder.
struct RunFolderHolder {
  pid_t process = 0;
  std::optional<HostPort> address;  ///< where an aggregator listens
};

/// The process that holds the folder; none when nobody does.
std::optional<RunFolderHolder> holder_of(const std::filesystem::path& folder);

/// A held folder; let go with the object.
class RunFolder {
 public:
  enum class Start : std::uint8_t {
    fresh,      ///< no run was here
    resumed,    ///< goes on with the run that is here
    completed,  ///< the run that is here is complete: nothing is to be done, and nothing was changed or is
                ///< held
  };

  /// Whether `open` would work, as far as can be said without touching anything. To be asked before work that
  /// takes long.
  static Result<Start> examine(const RunFolderRequest& request, const Config& config);

  /// Makes the folder if need be, holds it, and writes config.toml. A refusal leaves everything as it was.
  /// Fails with `run_folder_refused`: it holds a run and `resume` was not asked for, the run there is another
  /// one (first key that differs), another process holds it (its id), or it cannot be written. A client may
  /// use its folder again without `resume`. A resume of a folder without a run starts afresh, with a warning
  /// in the log.
  static Result<RunFolder> open(const RunFolderRequest& request, const Config& config);

  RunFolder(RunFolder&&) noexcept = default;
  RunFolder& operator=(RunFolder&&) noexcept = default;

  const std::filesystem::path& path() const { return path_; }
  Start start() const { return start_; }

  /// Tells `holder_of` where this process listens.
  Result<void> announce(const HostPort& address);

  /// Takes a fresh start back, for a node that could not begin after all (its port is in use): removes what
  /// was made since, and the folder too when it was made by `open`. Close the run store before. A resumed
  /// folder is left as it is.
  void discard() &&;

 private:
  RunFolder() = default;
  Result<void> take(const RunFolderRequest& request, const Config& config);

  std::filesystem::path path_;
  Start start_ = Start::fresh;
  bool created_ = false;         ///< the folder was made by `open`
  std::set<std::string> found_;  ///< files of a run that were there before
  FileDescriptor lock_;
};

}  // namespace fl
