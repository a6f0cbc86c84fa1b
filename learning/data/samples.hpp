// Samples as a file gives them, one after the other, and what is wrong with it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "learning/data/dataset.hpp"
#include "learning/data/schema.hpp"

namespace fl {

/// What the loaders of own data fill: features as floats or as bytes (pixels, codes), and a label or a number
/// for each sample.
struct Samples {
  std::vector<float> features;
  std::vector<std::uint8_t> bytes;
  std::vector<std::int64_t> labels;
  std::vector<float> targets;

  std::size_t size() const { return labels.empty() ? targets.size() : labels.size(); }
};

/// Which samples of a file or folder that has both kinds.
enum class Half : std::uint8_t { train, test };

/// What a file does not have right: the first few, and how many more.
class Problems {
 public:
  void add(std::string what);
  bool empty() const { return count_ == 0; }

  /// "FILE: …; …; and 12 more", as `bad_data`.
  tl::unexpected<Error> in(const std::filesystem::path& file) const;

 private:
  std::vector<std::string> first_;
  std::size_t count_ = 0;
};

/// "a", "b" and "c", of at most the first ten.
std::string in_quotes(const std::vector<std::string>& names);

/// The index of a label among the classes of the schema; none: it has no such class.
std::optional<std::int64_t> class_index(const DataSchema& schema, std::string_view name);

/// The bytes of a file. Fails with `bad_data`.
Result<std::string> read_whole(const std::filesystem::path& file);

/// Whether a text is UTF-8 without null characters.
bool is_utf8(std::string_view text);

/// Names for the labels 0 to `count` − 1.
std::vector<std::string> numbered_classes(std::int64_t count);

}  // namespace fl
