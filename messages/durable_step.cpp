#include "messages/durable_step.hpp"

#include <utility>

namespace fl {

namespace {

DurableStepHook& installed_hook() {
  static auto hook = DurableStepHook();
  return hook;
}

}  // namespace

std::atomic<bool> detail::has_durable_step_hook{false};

Result<void> detail::call_durable_step_hook(std::string_view step, const std::filesystem::path& file) {
  return installed_hook()(step, file);
}

void set_durable_step_hook(DurableStepHook hook) {
  installed_hook() = std::move(hook);
  detail::has_durable_step_hook = static_cast<bool>(installed_hook());
}

}  // namespace fl
