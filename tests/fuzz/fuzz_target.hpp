// A decoder that is fed arbitrary bytes. One .cpp of this folder holds one target; the same function runs
// under libFuzzer (fuzzer_main.cpp, preset asan) and over the kept inputs in every build
// (regressions_main.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <span>
#include <string_view>
#include <vector>

namespace fl::fuzz {

using Input = std::span<const std::uint8_t>;

/// An example of a target's input.
struct Seed {
  std::string_view name;
  std::vector<std::uint8_t> bytes;
};

struct Target {
  std::string_view name;

  /// Feeds one input to the decoder. Aborts when a promise of the decoder is broken.
  void (*run)(Input input) = nullptr;

  /// Inputs made by the real encoders, for make_corpus.
  std::vector<Seed> (*seeds)() = nullptr;

  /// Changes the input in place and returns its new size, at most `max_size`: for formats with checksums,
  /// which a mutation of bytes would hardly ever pass. Null: libFuzzer's own.
  std::size_t (*mutate)(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) = nullptr;
};

/// All targets that are linked to the program.
inline std::vector<Target>& targets() {
  static auto all = std::vector<Target>();
  return all;
}

struct Registration {
  explicit Registration(const Target& target) { targets().push_back(target); }
};

/// A promise of the code under test; whoever breaks it ends the process.
inline void require(bool holds, std::string_view promise) {
  if (holds) return;
  std::cerr << "broken promise: " << promise << std::endl;
  std::abort();
}

/// Takes an input apart from its front; what is missing at its end reads as zero.
class Reader {
 public:
  explicit Reader(Input input) : rest_(input) {}

  template <class T>
  T number() {
    auto value = std::uint64_t{0};
    for (std::size_t i = 0; i < sizeof(T); ++i) value |= std::uint64_t{next()} << (8 * i);
    return static_cast<T>(value);
  }
  bool empty() const { return rest_.empty(); }
  Input rest() const { return rest_; }

 private:
  std::uint8_t next() {
    if (rest_.empty()) return 0;
    const auto byte = rest_.front();
    rest_ = rest_.subspan(1);
    return byte;
  }

  Input rest_;
};

inline std::vector<std::uint8_t> bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}

inline std::string_view text_of(Input input) {
  return {reinterpret_cast<const char*>(input.data()), input.size()};
}

}  // namespace fl::fuzz
