// A folder that goes away with the test, and what is in it.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

namespace fl::test {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    auto name = (std::filesystem::temp_directory_path() / "fl_test_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    auto ignored = std::error_code();
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline std::string read_text(const std::filesystem::path& file) {
  auto input = std::ifstream(file, std::ios::binary);
  auto text = std::stringstream();
  text << input.rdbuf();
  return text.str();
}

inline void write_text(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

/// Every file below a folder with its content; folders end in "/".
inline std::map<std::string, std::string> tree_of(const std::filesystem::path& folder) {
  auto tree = std::map<std::string, std::string>();
  auto missing = std::error_code();
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, missing)) {
    const auto name = std::filesystem::relative(entry.path(), folder).string();
    if (entry.is_directory())
      tree[name + "/"] = "";
    else
      tree[name] = read_text(entry.path());
  }
  return tree;
}

/// Whether `text` holds every one of `parts`; shows the text when not.
inline bool holds_all(const std::string& text, std::initializer_list<std::string> parts) {
  for (const auto& part : parts) {
    if (text.find(part) == std::string::npos) {
      MESSAGE("\"" << part << "\" is missing in: " << text);
      return false;
    }
  }
  return true;
}

}  // namespace fl::test
