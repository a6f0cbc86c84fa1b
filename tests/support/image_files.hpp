// Images for tests of own data.
#pragma once

#include <doctest/doctest.h>
#include <png.h>
#include <turbojpeg.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <vector>

namespace fl::test {

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
