#include "runtime/config_command.hpp"

#include <spdlog/spdlog.h>

#include <cstdio>

namespace fl {

ExitCode check_configs(const std::vector<std::string>& files) {
  auto code = ExitCode::done;
  for (const auto& file : files) {
    const auto config = load_config(ConfigSources{{file}, {}});
    if (config) {
      std::printf("%s: ok\n", file.c_str());
      continue;
    }
    spdlog::error("{}", config.error().text);
    code = ExitCode::refused;
  }
  return code;
}

}  // namespace fl
