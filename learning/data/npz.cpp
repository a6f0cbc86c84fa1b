#include "learning/data/npz.hpp"

#include <zip.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <optional>

namespace fl {

namespace {

/// Of the dictionary at the beginning of an array.
constexpr std::size_t kMaxHeader_bytes = std::size_t{1} << 16;
constexpr std::uint64_t kMaxArray_bytes = std::uint64_t{1} << 36;
constexpr std::size_t kRead_bytes = std::size_t{1} << 16;

tl::unexpected<Error> bad_npz(const std::filesystem::path& file, const std::string& what) {
  return fail(ec::bad_data, file.string() + " " + what);
}

/// What a .npy says of itself: {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), }
struct ArrayHeader {
  char kind = 'f';  ///< f float, i int, u unsigned, b bool
  std::size_t width = 4;
  std::vector<std::int64_t> shape;

  std::uint64_t values() const {
    auto count = std::uint64_t{1};
    for (const auto extent : shape) count *= static_cast<std::uint64_t>(extent);
    return count;
  }
  std::int64_t rows() const { return shape.empty() ? 0 : shape.front(); }
};

/// The text behind 'key': in the dictionary.
std::optional<std::string_view> member(std::string_view dictionary, std::string_view key) {
  const auto quoted = "'" + std::string(key) + "':";
  const auto at = dictionary.find(quoted);
  if (at == std::string_view::npos) return std::nullopt;
  auto rest = dictionary.substr(at + quoted.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  return rest;
}

std::optional<std::vector<std::int64_t>> parse_shape(std::string_view text) {
  if (!text.starts_with('(')) return std::nullopt;
  auto shape = std::vector<std::int64_t>();
  auto product = std::uint64_t{1};
  for (text.remove_prefix(1); !text.empty();) {
    text.remove_prefix(std::min(text.find_first_not_of(" ,"), text.size()));
    if (text.starts_with(')')) return shape;
    auto extent = std::int64_t{0};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), extent);
    if (error != std::errc() || extent < 0) return std::nullopt;
    if (extent > 0 && product > kMaxArray_bytes / static_cast<std::uint64_t>(extent)) return std::nullopt;
    product *= static_cast<std::uint64_t>(std::max<std::int64_t>(extent, 1));
    shape.push_back(extent);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  }
  return std::nullopt;
}

Result<ArrayHeader> parse_header(std::string_view dictionary) {
  const auto refuse = [](const std::string& what) { return fail(ec::bad_data, what); };
  const auto type = member(dictionary, "descr");
  const auto order = member(dictionary, "fortran_order");
  const auto shape = member(dictionary, "shape");
  if (!type || !order || !shape) return refuse("is no array of numbers");
  if (!order->starts_with("False"))
    return refuse("is in Fortran order; save numpy.ascontiguousarray(…) of it");
  const auto name = type->substr(0, std::min<std::size_t>(type->size(), 5));
  const auto known = name.size() == 5 && name[0] == '\'' && name[4] == '\'' &&
                     (name[1] == '<' || name[1] == '|') &&
                     (name.substr(2, 2) == "f4" || name.substr(2, 2) == "f8" || name.substr(2, 2) == "b1" ||
                      ((name[2] == 'i' || name[2] == 'u') &&
                       std::string_view("1248").find(name[3]) != std::string_view::npos));
  if (!known)
    return refuse("has elements of the type " + std::string(name) +
                  "…, expected floats, integers or booleans (save array.astype(\"float32\"))");
  auto header = ArrayHeader{name[2], static_cast<std::size_t>(name[3] - '0'), {}};
  auto extents = parse_shape(*shape);
  if (!extents) return refuse("has a shape that cannot be read");
  header.shape = std::move(*extents);
  return header;
}

/// An array being read from front to back.
class ArrayReader {
 public:
  ArrayReader(std::string name, zip_file_t* file) : name_(std::move(name)), file_(file) {}

  const ArrayHeader& header() const { return header_; }
  const std::string& name() const { return name_; }

  Result<void> begin() {
    auto magic = std::array<char, 8>();
    if (!take(magic.data(), magic.size()) || std::memcmp(magic.data(), "\x93NUMPY", 6) != 0)
      return refuse("is no .npy array");
    const auto wide = magic[6] != 1;  // the length has two bytes in version 1, then four
    auto length = std::uint32_t{0};
    if (!take(&length, wide ? 4 : 2) || length > kMaxHeader_bytes) return refuse("is no .npy array");
    auto dictionary = std::string(length, ' ');
    if (!take(dictionary.data(), length)) return refuse("is cut off");
    auto header = parse_header(dictionary);
    if (!header) return refuse(header.error().text);
    header_ = std::move(*header);
    return {};
  }

  /// All values in their order, as doubles.
  template <class Visit>
  Result<void> each(Visit visit) {
    auto piece = std::vector<std::byte>(kRead_bytes / header_.width * header_.width);
    for (auto left = header_.values() * header_.width; left > 0;) {
      const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(left, piece.size()));
      if (!take(piece.data(), part)) return refuse(damaged_ ? "is damaged" : "is cut off");
      for (auto at = std::size_t{0}; at < part; at += header_.width) visit(value_at(piece.data() + at));
      left -= part;
    }
    // The checksum is compared at the end.
    auto more = std::byte{};
    if (take(&more, 1)) return refuse("is longer than it says");
    return damaged_ ? Result<void>(refuse("is damaged")) : Result<void>();
  }

 private:
  tl::unexpected<Error> refuse(const std::string& what) const {
    return fail(ec::bad_data, "the array " + name_ + " " + what);
  }

  bool take(void* to, std::size_t bytes) {
    auto* out = static_cast<std::byte*>(to);
    while (bytes > 0) {
      const auto got = zip_fread(file_, out, bytes);
      damaged_ = got < 0;
      if (got <= 0) return false;
      out += got;
      bytes -= static_cast<std::size_t>(got);
    }
    return true;
  }

  template <class T>
  static double as(const std::byte* from) {
    auto value = T();
    std::memcpy(&value, from, sizeof value);
    return static_cast<double>(value);
  }

  double value_at(const std::byte* from) const {
    static_assert(std::endian::native == std::endian::little);
    if (header_.kind == 'f') return header_.width == 4 ? as<float>(from) : as<double>(from);
    const auto is_signed = header_.kind == 'i';
    switch (header_.width) {
      case 1:
        return is_signed ? as<std::int8_t>(from) : as<std::uint8_t>(from);
      case 2:
        return is_signed ? as<std::int16_t>(from) : as<std::uint16_t>(from);
      case 4:
        return is_signed ? as<std::int32_t>(from) : as<std::uint32_t>(from);
      default:
        return is_signed ? as<std::int64_t>(from) : as<std::uint64_t>(from);
    }
  }

  std::string name_;
  zip_file_t* file_;
  bool damaged_ = false;
  ArrayHeader header_;
};

/// The open archive.
class Archive {
 public:
  static Result<Archive> open(const std::filesystem::path& file) {
    auto code = 0;
    auto archive = Archive();
    archive.file_ = file;
    archive.zip_.reset(zip_open(file.c_str(), ZIP_RDONLY, &code));
    if (archive.zip_) return archive;
    auto error = zip_error_t();
    zip_error_init_with_code(&error, code);
    const auto text = std::string(zip_error_strerror(&error));
    zip_error_fini(&error);
    return bad_npz(file, "cannot be opened: " + text);
  }

  bool has(const std::string& array) const {
    return zip_name_locate(zip_.get(), (array + ".npy").c_str(), 0) >= 0;
  }

  std::vector<std::string> arrays() const {
    auto names = std::vector<std::string>();
    for (auto i = zip_int64_t{0}; i < zip_get_num_entries(zip_.get(), 0); ++i)
      if (const auto* name = zip_get_name(zip_.get(), static_cast<zip_uint64_t>(i), 0))
        names.emplace_back(std::string_view(name).substr(0, std::string_view(name).rfind(".npy")));
    return names;
  }

  /// The first of these that is there.
  Result<std::string> first_of(std::initializer_list<std::string> names) const {
    for (const auto& name : names)
      if (has(name)) return name;
    const auto there = arrays();
    return bad_npz(file_, "has no array " + in_quotes(names) + "; it has " +
                              (there.empty() ? "none" : in_quotes(there)));
  }

  /// Hands the array's reader to `use`, with its header read.
  template <class Use>
  Result<void> read(const std::string& name, Use use) const {
    const auto entry = std::unique_ptr<zip_file_t, decltype([](zip_file_t* open) { zip_fclose(open); })>(
        zip_fopen(zip_.get(), (name + ".npy").c_str(), 0));
    if (!entry) return bad_npz(file_, "has a damaged array " + name);
    auto reader = ArrayReader(name, entry.get());
    auto done = reader.begin();
    if (done) done = use(reader);
    if (!done) return bad_npz(file_, "cannot be used: " + done.error().text);
    return {};
  }

 private:
  struct Close {
    void operator()(zip_t* open) const { zip_discard(open); }
  };

  std::filesystem::path file_;
  std::unique_ptr<zip_t, Close> zip_;
};

std::vector<std::int64_t> sample_shape_of(const ArrayHeader& x) {
  auto shape = std::vector<std::int64_t>(x.shape.begin() + 1, x.shape.end());
  if (x.kind == 'u' && x.width == 1 && shape.size() == 2) shape.insert(shape.begin(), 1);
  if (shape.empty()) shape = {1};
  return shape;
}

bool are_pixels(const ArrayHeader& x) {
  return x.kind == 'u' && x.width == 1 && x.shape.size() >= 3;
}

std::string text_of(const std::vector<std::int64_t>& shape) {
  auto text = std::string("[");
  for (const auto extent : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

std::optional<std::int64_t> label_in(double value) {
  if (value < 0 || value != std::trunc(value) || value > 1e6) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

}  // namespace

Result<std::vector<std::string>> npz_arrays(const std::filesystem::path& file) {
  const auto archive = Archive::open(file);
  if (!archive) return tl::unexpected(archive.error());
  return archive->arrays();
}

Result<DataSchema> find_npz_schema(const std::filesystem::path& file, bool standardise, bool labels) {
  const auto archive = Archive::open(file);
  if (!archive) return tl::unexpected(archive.error());
  auto schema = DataSchema();
  schema.kind = "npz";
  const auto x = archive->first_of({"x_train", "x"});
  if (!x) return tl::unexpected(x.error());
  auto read = archive->read(*x, [&](ArrayReader& reader) -> Result<void> {
    if (reader.header().shape.empty()) return fail(ec::bad_data, "the array " + *x + " is one number");
    schema.shape = sample_shape_of(reader.header());
    schema.pixels = labels && are_pixels(reader.header());
    schema.standardise = standardise && !schema.pixels;
    return {};
  });
  if (!read) return tl::unexpected(read.error());
  if (!labels) return schema;
  const auto y = archive->first_of({"y_train", "y"});
  if (!y) return tl::unexpected(y.error());
  auto largest = std::int64_t{0};
  auto row = std::size_t{0};
  auto problems = Problems();
  read = archive->read(*y, [&](ArrayReader& reader) {
    return reader.each([&](double value) {
      if (const auto label = label_in(value))
        largest = std::max(largest, *label);
      else
        problems.add(*y + "[" + std::to_string(row) + "] is no label, a whole number from 0");
      ++row;
    });
  });
  if (!read) return tl::unexpected(read.error());
  if (!problems.empty()) return problems.in(file);
  schema.classes = numbered_classes(std::max<std::int64_t>(largest + 1, 2));
  return schema;
}

Result<void> read_npz_samples(const std::filesystem::path& file, const DataSchema& schema, Half half,
                              bool with_target, Samples& samples) {
  const auto archive = Archive::open(file);
  if (!archive) return tl::unexpected(archive.error());
  const auto ending = half == Half::train ? std::string("_train") : std::string("_test");
  const auto x = archive->first_of({"x" + ending, "x"});
  if (!x) return tl::unexpected(x.error());
  auto problems = Problems();
  auto rows = std::int64_t{0};
  const auto inputs = inputs_of(schema);
  const auto place = [&](const std::string& name, std::size_t at, std::size_t width) {
    return name + "[" + std::to_string(at / width) + "]" +
           (width > 1 ? ", value " + std::to_string(at % width) : std::string());
  };
  auto read = archive->read(*x, [&](ArrayReader& reader) -> Result<void> {
    const auto& header = reader.header();
    rows = header.rows();
    if (header.shape.empty() || sample_shape_of(header) != schema.shape)
      return fail(ec::bad_data, "the array " + *x + " has samples of shape " +
                                    text_of(header.shape.empty() ? header.shape : sample_shape_of(header)) +
                                    ", and the federation's have " + text_of(schema.shape));
    if (schema.has_labels() && schema.pixels != are_pixels(header))
      return fail(ec::bad_data, "the array " + *x +
                                    (schema.pixels ? " has to hold unsigned bytes (pixels)"
                                                   : " holds bytes, and the federation's are "
                                                     "numbers; save x.astype(\"float32\")"));
    auto at = std::size_t{0};
    return reader.each([&](double value) {
      if (schema.pixels) {
        samples.bytes.push_back(static_cast<std::uint8_t>(value));
      } else {
        const auto number = static_cast<float>(value);
        if (std::isinf(number))
          problems.add(place(*x, at, inputs) + " is not finite");
        else if (std::isnan(number) && !schema.standardise)
          problems.add(place(*x, at, inputs) +
                       " is missing (NaN); with data.standardise = true it would count as the mean");
        samples.features.push_back(number);
      }
      ++at;
    });
  });
  if (!read) return read;
  if (rows == 0) problems.add("the array " + *x + " has no rows");
  if (with_target) {
    const auto y = archive->first_of({"y" + ending, "y"});
    if (!y) return tl::unexpected(y.error());
    read = archive->read(*y, [&](ArrayReader& reader) -> Result<void> {
      const auto& header = reader.header();
      if (header.rows() != rows || static_cast<std::int64_t>(header.values()) != rows)
        return fail(ec::bad_data, "the array " + *y + " has the shape " + text_of(header.shape) + ", and " +
                                      *x + " has " + std::to_string(rows) + " rows");
      auto at = std::size_t{0};
      return reader.each([&](double value) {
        if (!schema.has_labels()) {
          if (!std::isfinite(static_cast<float>(value))) problems.add(place(*y, at, 1) + " is not finite");
          samples.targets.push_back(static_cast<float>(value));
        } else if (const auto label = label_in(value); label && *label < std::int64_t{schema.class_count()}) {
          samples.labels.push_back(*label);
        } else {
          problems.add(place(*y, at, 1) + " is none of the " + std::to_string(schema.class_count()) +
                       " classes, whole numbers from 0");
        }
        ++at;
      });
    });
    if (!read) return read;
  }
  if (!problems.empty()) return problems.in(file);
  return {};
}

}  // namespace fl
