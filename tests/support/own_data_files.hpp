// Tables, arrays and images for tests of own data.
#pragma once

#include <doctest/doctest.h>
#include <png.h>
#include <turbojpeg.h>
#include <zip.h>

#include <cstdint>
#include <cstdio>
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

inline void write_npz(const std::filesystem::path& file, const std::map<std::string, std::string>& arrays) {
  auto code = 0;
  auto* const archive = zip_open(file.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  REQUIRE(archive != nullptr);
  for (const auto& [name, bytes] : arrays) {
    auto* const source = zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
    REQUIRE(zip_file_add(archive, (name + ".npy").c_str(), source, 0) >= 0);
  }
  REQUIRE(zip_close(archive) == 0);
}

/// Interleaved pixels [height, width, channels], channels 1 or 3.
inline void write_png(const std::filesystem::path& file, std::uint32_t width, std::uint32_t height,
                      std::uint32_t channels, const std::vector<std::uint8_t>& pixels) {
  auto image = png_image();
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  REQUIRE(png_image_write_to_file(&image, file.c_str(), 0, pixels.data(), 0, nullptr) != 0);
}

inline void write_jpeg(const std::filesystem::path& file, int width, int height,
                       const std::vector<std::uint8_t>& grey) {
  auto* const encoder = tjInitCompress();
  unsigned char* bytes = nullptr;
  auto size = 0UL;
  REQUIRE(tjCompress2(encoder, grey.data(), width, 0, height, TJPF_GRAY, &bytes, &size, TJSAMP_GRAY, 100,
                      0) == 0);
  auto* const out = std::fopen(file.c_str(), "wb");
  REQUIRE(out != nullptr);
  REQUIRE(std::fwrite(bytes, 1, size, out) == size);
  std::fclose(out);
  tjFree(bytes);
  tjDestroy(encoder);
}

}  // namespace fl::test
