// A folder for files that are read back at once; in memory where there is such a place.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/fuzz/fuzz_target.hpp"

namespace fl::fuzz {

class ScratchFolder {
 public:
  ScratchFolder() {
    auto error = std::error_code();
    const auto memory = std::filesystem::path("/dev/shm");
    const auto parent =
        std::filesystem::is_directory(memory, error) ? memory : std::filesystem::temp_directory_path();
    auto name = (parent / "fl_fuzz_XXXXXX").string();
    require(::mkdtemp(name.data()) != nullptr, "a scratch folder can be made");
    path_ = name;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    auto ignored = std::error_code();
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

  /// Writes a file, instead of the one before; returns its path.
  std::filesystem::path write(const std::string& name, Input bytes) const {
    auto file = path_ / name;
    auto stream = std::ofstream(file, std::ios::binary);
    stream.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    stream.close();
    require(stream.good(), "a scratch file can be written");
    return file;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace fl::fuzz
