#include "learning/torch/torch_export.hpp"

#include <unistd.h>

namespace fl {

Result<void> write_torchscript(const Network& network, const Parameters& model,
                               const std::filesystem::path& file) {
  auto temporary = file;
  temporary += std::filesystem::path::string_type(".").append(std::to_string(::getpid())).append(".tmp");
  try {
    network.save(model, temporary);
  } catch (const c10::Error& error) {
    auto ignored = std::error_code();
    std::filesystem::remove(temporary, ignored);
    return fail(ec::io_failed,
                "cannot write the model to '" + temporary.string() + "': " + error.what_without_backtrace());
  }
  auto error = std::error_code();
  std::filesystem::rename(temporary, file, error);
  if (error)
    return fail(ec::io_failed,
                "cannot rename '" + temporary.string() + "' to '" + file.string() + "': " + error.message());
  return {};
}

}  // namespace fl
