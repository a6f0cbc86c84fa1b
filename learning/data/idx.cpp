#include "learning/data/idx.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <span>
#include <system_error>

namespace fl {
namespace {

constexpr std::uint32_t kUnsignedByteType = 0x08;
constexpr std::size_t kExtent_bytes = 4;
constexpr std::size_t kPiece_bytes = std::size_t{1} << 20;
/// Refuses headers whose extents multiply to more than any data set of bytes that we would hold in memory.
constexpr std::uint64_t kMaxValues_bytes = std::uint64_t{1} << 36;

tl::unexpected<Error> bad_file(const std::filesystem::path& file, const std::string& what) {
  return fail(ec::bad_data, file.string() + " " + what);
}

/// Reads plain and gzip files alike: zlib passes through what does not begin like gzip.
class Reader {
 public:
  static Result<Reader> open(const std::filesystem::path& file) {
    errno = 0;
    Reader reader(file, gzopen(file.c_str(), "rb"));
    if (!reader.handle_) return bad_file(file, "cannot be opened: " + std::generic_category().message(errno));
    return reader;
  }

  /// Fills `out` as far as the file goes; returns the bytes read. A compressed file that is damaged is an
  /// error; one that was cut off ends early.
  Result<std::size_t> read(std::span<std::uint8_t> out) {
    errno = 0;
    const int count = gzread(handle_.get(), out.data(), static_cast<unsigned>(out.size()));
    if (count < 0) {
      int code = Z_OK;
      const std::string text = gzerror(handle_.get(), &code);
      // zlib reports a cut-off stream as an error only once nothing more comes out of it.
      if (code == Z_BUF_ERROR) return std::size_t{0};
      const auto reason = code == Z_ERRNO ? std::generic_category().message(errno) : text;
      return bad_file(file_, "is damaged: " + reason);
    }
    return static_cast<std::size_t>(count);
  }

  /// Whether a compressed file lacks its end, so that its checksum was never compared.
  bool cut_off() {
    int code = Z_OK;
    gzerror(handle_.get(), &code);
    return code == Z_BUF_ERROR;
  }

 private:
  struct Close {
    void operator()(gzFile handle) const { gzclose_r(handle); }
  };

  Reader(const std::filesystem::path& file, gzFile handle) : file_(file), handle_(handle) {}

  std::filesystem::path file_;
  std::unique_ptr<gzFile_s, Close> handle_;
};

std::uint32_t big_endian(std::span<const std::uint8_t> bytes) {
  auto value = std::uint32_t{0};
  for (const auto byte : bytes) value = (value << 8) | byte;
  return value;
}

std::string hexadecimal(std::uint32_t value) {
  constexpr std::array kDigits{'0', '1', '2', '3', '4', '5', '6', '7',
                               '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
  std::string text = "0x";
  for (int shift = 28; shift >= 0; shift -= 4) text += kDigits[(value >> shift) & 0xf];
  return text;
}

tl::unexpected<Error> truncated(const std::filesystem::path& file, std::uint64_t expected,
                                std::uint64_t found) {
  return bad_file(
      file, "is truncated: expected " + std::to_string(expected) + " bytes, found " + std::to_string(found));
}

}  // namespace

Result<std::filesystem::path> find_idx(const std::filesystem::path& dir, const std::string& name) {
  auto dotted = name;
  if (const auto at = dotted.find("-idx"); at != std::string::npos) dotted[at] = '.';
  for (const auto& spelling : {name, name + ".gz", dotted, dotted + ".gz"}) {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(dir / spelling, ignored)) return dir / spelling;
  }
  return bad_file(dir / name, "is missing (also with .gz, and as " + dotted + ")");
}

Result<IdxArray> read_idx(const std::filesystem::path& file, std::size_t dimensions) {
  auto reader = Reader::open(file);
  if (!reader) return tl::unexpected(reader.error());

  const auto header_bytes = kExtent_bytes * (1 + dimensions);
  std::vector<std::uint8_t> header(header_bytes);
  const auto header_read = reader->read(header);
  if (!header_read) return tl::unexpected(header_read.error());
  if (*header_read < header_bytes) return truncated(file, header_bytes, *header_read);

  const auto word = [&](std::size_t index) {
    return big_endian(std::span(header).subspan(index * kExtent_bytes, kExtent_bytes));
  };
  const auto magic = (kUnsignedByteType << 8) | static_cast<std::uint32_t>(dimensions);
  if (word(0) != magic) {
    return bad_file(file, "has the wrong magic number " + hexadecimal(word(0)) + ", expected " +
                              hexadecimal(magic) + " (unsigned bytes, " + std::to_string(dimensions) +
                              " dimensions)");
  }

  IdxArray array;
  auto expected = std::uint64_t{1};
  for (std::size_t d = 1; d <= dimensions; ++d) {
    const auto extent = word(d);
    array.extents.push_back(extent);
    if (extent == 0) return bad_file(file, "is empty: one of its extents is 0");
    if (expected > kMaxValues_bytes / extent) return bad_file(file, "claims impossibly large extents");
    expected *= extent;
  }

  // A plain file's size is what it can yield; a compressed one starts there and grows.
  std::error_code ignored;
  const auto on_disk = std::filesystem::file_size(file, ignored);
  if (!ignored) array.values.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(expected, on_disk)));
  while (array.values.size() < expected) {
    const auto have = array.values.size();
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece_bytes, expected - have));
    array.values.resize(have + wanted);
    const auto count = reader->read(std::span(array.values).subspan(have));
    if (!count) return tl::unexpected(count.error());
    if (*count < wanted) return truncated(file, header_bytes + expected, header_bytes + have + *count);
  }

  // Reading on shows bytes too many, and makes zlib compare its checksum.
  std::uint8_t extra = 0;
  const auto rest = reader->read(std::span(&extra, 1));
  if (!rest) return tl::unexpected(rest.error());
  if (*rest > 0) {
    return bad_file(
        file, "is longer than the " + std::to_string(header_bytes + expected) + " bytes its header says");
  }
  if (reader->cut_off()) return bad_file(file, "is truncated: the end of the gzip stream is missing");
  return array;
}

Result<IdxPair> read_idx_pair(const std::filesystem::path& dir, const std::string& prefix) {
  const auto images_file = find_idx(dir, prefix + "-images-idx3-ubyte");
  if (!images_file) return tl::unexpected(images_file.error());
  const auto labels_file = find_idx(dir, prefix + "-labels-idx1-ubyte");
  if (!labels_file) return tl::unexpected(labels_file.error());
  auto images = read_idx(*images_file, 3);
  if (!images) return tl::unexpected(images.error());
  auto labels = read_idx(*labels_file, 1);
  if (!labels) return tl::unexpected(labels.error());
  return IdxPair{*images_file, *labels_file, std::move(*images), std::move(*labels)};
}

Result<void> check_counts(const IdxPair& pair) {
  const auto images = pair.images.extents[0];
  const auto labels = pair.labels.extents[0];
  if (images == labels) return {};
  return bad_file(pair.images_file, "holds " + std::to_string(images) + " images but " +
                                        pair.labels_file.string() + " holds " + std::to_string(labels) +
                                        " labels");
}

}  // namespace fl
