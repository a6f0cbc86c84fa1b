// NumPy's arrays for tests.
#pragma once

#include <zip.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace fl::test {

/// A .npy of version 1: `type` such as "<f4".
template <class T>
std::string npy(const std::string& type, const std::string& shape, const std::vector<T>& values,
                const std::string& order = "False") {
  auto dictionary = "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
  while ((10 + dictionary.size() + 1) % 64 != 0) dictionary += ' ';
  dictionary += '\n';
  auto bytes = std::string("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(dictionary.size() & 0xff);
  bytes += static_cast<char>(dictionary.size() >> 8);
  bytes += dictionary;
  return bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

/// Whether it could be written.
inline bool write_npz(const std::filesystem::path& file, const std::map<std::string, std::string>& arrays) {
  auto code = 0;
  auto* const archive = zip_open(file.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  if (archive == nullptr) return false;
  for (const auto& [name, bytes] : arrays)
    zip_file_add(archive, (name + ".npy").c_str(), zip_source_buffer(archive, bytes.data(), bytes.size(), 0),
                 0);
  return zip_close(archive) == 0;
}

}  // namespace fl::test
