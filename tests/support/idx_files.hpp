// IDX files for tests, good ones and such as never should be, in a folder that goes away with the test.
#pragma once

#include <doctest/doctest.h>
#include <zlib.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace fl::test {

/// What an IDX file of unsigned bytes says.
struct IdxBytes {
  std::vector<std::uint32_t> dimensions;
  std::vector<std::uint8_t> values;

  std::string encode() const {
    std::string bytes{'\0', '\0', '\x08', static_cast<char>(dimensions.size())};
    for (const auto extent : dimensions) {
      for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>((extent >> shift) & 0xff);
    }
    return bytes.append(values.begin(), values.end());
  }
};

class IdxFolder {
 public:
  IdxFolder() {
    auto pattern = (std::filesystem::temp_directory_path() / "fl_idx_XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~IdxFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  IdxFolder(const IdxFolder&) = delete;
  IdxFolder& operator=(const IdxFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream file(path_ / name, std::ios::binary);
    file << bytes;
    REQUIRE(file.good());
  }

  void write_gzip(const std::string& name, const std::string& bytes) const {
    auto* file = gzopen((path_ / name).c_str(), "wb");
    REQUIRE(file != nullptr);
    REQUIRE(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())) ==
            static_cast<int>(bytes.size()));
    REQUIRE(gzclose(file) == Z_OK);
  }

  std::string read(const std::string& name) const {
    std::ifstream file(path_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::filesystem::path path_;
};

}  // namespace fl::test
