// What the numbers of a model are: names, shapes and places in one flat array.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace fl {

/// How an entry takes part in training and aggregation.
enum class EntryKind : std::uint8_t {
  trainable,  ///< has a gradient; optimisers, clipping and sparsifiers touch only these
  buffer,     ///< a float statistic (batch-norm mean, variance); averaged, never optimised
};

/// One tensor of a model, in the flat array of all.
struct LayoutEntry {
  std::string name;                 ///< as in the TorchScript export, e.g. "conv1.weight"
  std::vector<std::int64_t> shape;  ///< row-major
  EntryKind kind = EntryKind::trainable;
  std::uint64_t offset = 0;  ///< in floats from the start of the flat array
  std::uint64_t size = 0;    ///< in floats: the product of the shape

  bool operator==(const LayoutEntry&) const = default;
};

/// The ordered, gapless list of a model's tensors.
class Layout {
 public:
  Layout() = default;

  /// Appends an entry behind the last one.
  void add(std::string name, std::vector<std::int64_t> shape, EntryKind kind = EntryKind::trainable);

  const std::vector<LayoutEntry>& entries() const { return entries_; }

  /// All floats of the model.
  std::uint64_t size() const { return size_; }

  /// All bytes of the model as float32.
  std::uint64_t size_bytes() const { return size_ * sizeof(float); }

  /// A 64-bit hash over names, shapes and kinds, the same on every machine: two nodes compare models by it.
  std::uint64_t fingerprint() const;

  bool operator==(const Layout&) const = default;

 private:
  std::vector<LayoutEntry> entries_;
  std::uint64_t size_ = 0;
};

using LayoutPtr = std::shared_ptr<const Layout>;

}  // namespace fl
