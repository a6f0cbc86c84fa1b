// The moments at which something reaches the disk, for tests that end the process or fail at each of them.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <string_view>

#include "messages/errors.hpp"

namespace fl {

/// Told before each step at which a file changes ("create", "write", "flush", "rename", "flush folder",
/// "remove"), and after each commit of the database ("committed"). What it fails with, the step fails with,
/// where it can fail. It may also end the process there. Called from any thread.
using DurableStepHook = std::function<Result<void>(std::string_view step, const std::filesystem::path& file)>;

/// An empty function removes it. To be set while no other thread writes.
void set_durable_step_hook(DurableStepHook hook);

namespace detail {
extern std::atomic<bool> has_durable_step_hook;
Result<void> call_durable_step_hook(std::string_view step, const std::filesystem::path& file);
}  // namespace detail

/// To be called where such a step is about to happen; costs nothing without a hook.
inline Result<void> durable_step(std::string_view step, const std::filesystem::path& file) {
  if (!detail::has_durable_step_hook.load(std::memory_order_relaxed)) return {};
  return detail::call_durable_step_hook(step, file);
}

}  // namespace fl
