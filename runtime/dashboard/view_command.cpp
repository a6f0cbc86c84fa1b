#include "runtime/dashboard/view_command.hpp"

#include <spdlog/spdlog.h>

#include <chrono>
#include <thread>

#include "runtime/dashboard/dashboard.hpp"
#include "runtime/signals.hpp"

namespace fl {

ExitCode view_run(const std::string& folder, const DashboardOptions& options) {
  auto view = RunView::open(folder, false);
  if (!view) {
    spdlog::error("{}", view.error().text);
    return ExitCode::refused;
  }
  auto dashboard = Dashboard::start(options, std::move(*view));
  if (!dashboard) {
    spdlog::error("{}", dashboard.error().text);
    return ExitCode::refused;
  }
  watch_signals();
  spdlog::info("dashboard at {}; Ctrl-C ends it", (*dashboard)->url());
  while (!interrupted()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  return ExitCode::done;
}

}  // namespace fl
