#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "learning/trainer.hpp"
#include "messages/envelope.hpp"

namespace fl {

Result<std::string> model_identity(const TrainerOptions& options) {
  if (options.model_file.empty()) return options.model;
  auto file = std::ifstream(options.model_file, std::ios::binary);
  if (!file)
    return fail(ec::bad_config,
                "model.file: cannot read \"" + options.model_file.string() + "\": " + std::strerror(errno));
  const auto bytes =
      std::vector<char>(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  auto hash = Hash();
  hash.add(std::as_bytes(std::span(bytes)));
  auto digits = std::array<char, 24>();
  std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(hash.value()));
  return std::string(kScriptPrefix) + digits.data();
}

}  // namespace fl
