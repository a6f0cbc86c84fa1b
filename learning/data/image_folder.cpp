#include "learning/data/image_folder.hpp"

#include <png.h>
#include <turbojpeg.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>

namespace fl {

namespace {

namespace fs = std::filesystem;

/// Of one image; bounds what a damaged header can ask for.
constexpr std::int64_t kMaxPixels = std::int64_t{1} << 26;

/// Interleaved pixels [H, W, channels].
struct Image {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channels = 1;
  std::vector<std::uint8_t> pixels;
};

bool is_image(const fs::path& file) {
  auto ending = file.extension().string();
  std::ranges::transform(ending, ending.begin(),
                         [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg";
}

/// What the images of a folder have in common.
struct Format {
  std::int64_t channels = 0;  ///< to convert to; 0: as the file has it
  bool header_only = false;
};

Result<Image> decode_png(const std::vector<std::uint8_t>& file, const Format& wanted) {
  auto reader = png_image();
  reader.version = PNG_IMAGE_VERSION;
  const auto failed = [&] {
    const auto text = std::string(reader.message);
    png_image_free(&reader);
    return fail(ec::bad_data, text.empty() ? "cannot be read" : text);
  };
  if (png_image_begin_read_from_memory(&reader, file.data(), file.size()) == 0) return failed();
  auto image = Image{std::int64_t{reader.height}, std::int64_t{reader.width}, 1, {}};
  const auto colour = (reader.format & PNG_FORMAT_FLAG_COLOR) != 0;
  image.channels = wanted.channels > 0 ? wanted.channels : colour ? 3 : 1;
  if (image.height * image.width > kMaxPixels || wanted.header_only) {
    png_image_free(&reader);
    if (wanted.header_only) return image;
    return fail(ec::bad_data, "has too many pixels");
  }
  reader.format = image.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  image.pixels.resize(PNG_IMAGE_SIZE(reader));
  const auto background = png_color{255, 255, 255};  // behind transparent pixels
  if (png_image_finish_read(&reader, &background, image.pixels.data(), 0, nullptr) == 0) return failed();
  return image;
}

Result<Image> decode_jpeg(const std::vector<std::uint8_t>& file, const Format& wanted) {
  const auto decoder =
      std::unique_ptr<void, decltype([](void* handle) { tjDestroy(handle); })>(tjInitDecompress());
  const auto failed = [&] { return fail(ec::bad_data, std::string(tjGetErrorStr2(decoder.get()))); };
  auto width = 0;
  auto height = 0;
  auto subsampling = 0;
  auto colours = 0;
  if (tjDecompressHeader3(decoder.get(), file.data(), file.size(), &width, &height, &subsampling, &colours) !=
      0)
    return failed();
  auto image = Image{height, width, 1, {}};
  image.channels = wanted.channels > 0 ? wanted.channels : colours == TJCS_GRAY ? 1 : 3;
  if (wanted.header_only) return image;
  if (image.height * image.width > kMaxPixels) return fail(ec::bad_data, "has too many pixels");
  image.pixels.resize(static_cast<std::size_t>(image.height * image.width * image.channels));
  if (tjDecompress2(decoder.get(), file.data(), file.size(), image.pixels.data(), width, 0, height,
                    image.channels == 3 ? TJPF_RGB : TJPF_GRAY, 0) != 0)
    return failed();
  return image;
}

/// By what the file is, not by its name.
Result<Image> decode(const fs::path& path, const Format& wanted) {
  auto input = std::ifstream(path, std::ios::binary);
  const auto file = std::vector<std::uint8_t>(std::istreambuf_iterator<char>(input), {});
  if (!input && !input.eof()) return fail(ec::bad_data, "cannot be opened");
  if (file.size() >= 8 && std::memcmp(file.data(), "\x89PNG\r\n\x1a\n", 8) == 0)
    return decode_png(file, wanted);
  if (file.size() >= 3 && std::memcmp(file.data(), "\xff\xd8\xff", 3) == 0) return decode_jpeg(file, wanted);
  return fail(ec::bad_data, "is neither a PNG nor a JPEG");
}

Result<std::vector<fs::path>> entries_of(const fs::path& folder, bool folders) {
  auto found = std::vector<fs::path>();
  auto error = std::error_code();
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    auto unknown = std::error_code();
    const auto fits =
        folders ? entry.is_directory(unknown) : entry.is_regular_file(unknown) && is_image(entry.path());
    if (fits && !entry.path().filename().string().starts_with('.')) found.push_back(entry.path());
  }
  if (error) return fail(ec::bad_data, folder.string() + " cannot be read: " + error.message());
  std::ranges::sort(found);
  return found;
}

std::string size_of(std::int64_t height, std::int64_t width) {
  return std::to_string(width) + " × " + std::to_string(height) + " pixels";
}

tl::unexpected<Error> no_classes(const fs::path& folder) {
  return fail(ec::bad_data, folder.string() +
                                " has no folders with images; it needs one for each class, such as " +
                                (folder / "cats" / "1.png").string());
}

void append(const Image& image, std::vector<std::uint8_t>& bytes) {
  const auto pixels = static_cast<std::size_t>(image.height * image.width);
  const auto channels = static_cast<std::size_t>(image.channels);
  for (auto channel = std::size_t{0}; channel < channels; ++channel)
    for (auto at = std::size_t{0}; at < pixels; ++at) bytes.push_back(image.pixels[at * channels + channel]);
}

}  // namespace

Result<DataSchema> find_image_schema(const fs::path& folder) {
  const auto folders = entries_of(folder, true);
  if (!folders) return tl::unexpected(folders.error());
  auto schema = DataSchema();
  schema.kind = "images";
  schema.pixels = true;
  auto problems = Problems();
  auto first = std::optional<std::pair<fs::path, Image>>();
  auto channels = std::int64_t{1};
  for (const auto& of_class : *folders) {
    const auto files = entries_of(of_class, false);
    if (!files) return tl::unexpected(files.error());
    if (files->empty()) continue;
    if (!is_utf8(of_class.filename().string()))
      problems.add("the name of " + of_class.string() + " is not UTF-8");
    schema.classes.push_back(of_class.filename().string());
    for (const auto& file : *files) {
      const auto image = decode(file, {0, true});
      if (!image) {
        problems.add(file.string() + " " + image.error().text);
        continue;
      }
      if (!first) first = {file, *image};
      channels = std::max(channels, image->channels);
      if (image->height != first->second.height || image->width != first->second.width)
        problems.add(file.string() + " has " + size_of(image->height, image->width) + ", and " +
                     first->first.filename().string() + " " +
                     size_of(first->second.height, first->second.width) + "; bring all to one size");
    }
  }
  if (!problems.empty()) return problems.in(folder);
  if (!first) return no_classes(folder);
  if (schema.classes.size() < 2)
    return fail(ec::bad_data, folder.string() + " has images of one class only, \"" + schema.classes.front() +
                                  "\", and nothing to tell apart");
  schema.shape = {channels, first->second.height, first->second.width};
  return schema;
}

Result<void> read_image_samples(const fs::path& folder, const DataSchema& schema, bool with_target,
                                Samples& samples, std::vector<std::string>* names) {
  auto problems = Problems();
  const auto read = [&](const fs::path& file, std::optional<std::int64_t> label) {
    const auto image = decode(file, {schema.shape[0], false});
    if (!image) {
      problems.add(file.string() + " " + image.error().text);
    } else if (image->height != schema.shape[1] || image->width != schema.shape[2]) {
      problems.add(file.string() + " has " + size_of(image->height, image->width) +
                   ", and the federation's images " + size_of(schema.shape[1], schema.shape[2]));
    } else {
      append(*image, samples.bytes);
      if (label) samples.labels.push_back(*label);
      if (names != nullptr) names->push_back(file.string());
    }
  };
  auto found = std::size_t{0};
  const auto read_all = [&](const fs::path& of_class, std::optional<std::int64_t> label) -> Result<void> {
    const auto files = entries_of(of_class, false);
    if (!files) return tl::unexpected(files.error());
    found += files->size();
    for (const auto& file : *files) read(file, label);
    return {};
  };
  const auto folders = entries_of(folder, true);
  if (!folders) return tl::unexpected(folders.error());
  if (!with_target)
    if (auto ok = read_all(folder, std::nullopt); !ok) return ok;
  for (const auto& of_class : *folders) {
    const auto label = class_index(schema, of_class.filename().string());
    if (with_target && !label) {
      problems.add(of_class.string() + " is none of the classes " + in_quotes(schema.classes));
      continue;
    }
    if (auto ok = read_all(of_class, with_target ? label : std::nullopt); !ok) return ok;
  }
  if (!problems.empty()) return problems.in(folder);
  if (found == 0) return no_classes(folder);
  return {};
}

}  // namespace fl
