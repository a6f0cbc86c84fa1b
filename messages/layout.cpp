#include "messages/layout.hpp"

#include <xxhash.h>

#include <functional>
#include <numeric>
#include <utility>

namespace fl {

void Layout::add(std::string name, std::vector<std::int64_t> shape, EntryKind kind) {
  const auto size = static_cast<std::uint64_t>(
      std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()));
  entries_.push_back({std::move(name), std::move(shape), kind, size_, size});
  size_ += size;
}

std::uint64_t Layout::fingerprint() const {
  auto text = std::string();
  for (const auto& entry : entries_) {
    text += entry.name;
    text += entry.kind == EntryKind::trainable ? "|t" : "|b";
    for (const auto extent : entry.shape) {
      text += ',';
      text += std::to_string(extent);
    }
    text += ';';
  }
  return XXH3_64bits(text.data(), text.size());
}

}  // namespace fl
