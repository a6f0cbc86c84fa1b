#include "learning/compression/codec.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

namespace fl {

namespace {

constexpr double kDefaultRatio = 0.01;
constexpr std::uint32_t kMaxLevels = 127;
constexpr std::uint32_t kDefaultZstd = 3;
constexpr std::uint32_t kMaxZstd = 19;

template <class T, std::size_t count>
using Names = std::array<std::pair<std::string_view, T>, count>;

constexpr Names<Sparsifier, 4> kSparsifiers = {{{"top_k", Sparsifier::top_k},
                                                {"top_k_layer", Sparsifier::top_k_layer},
                                                {"random_k", Sparsifier::random_k},
                                                {"prune", Sparsifier::prune}}};
constexpr Names<Quantizer, 6> kQuantizers = {{{"fp16", Quantizer::fp16},
                                              {"bf16", Quantizer::bf16},
                                              {"int8", Quantizer::int8},
                                              {"int4", Quantizer::int4},
                                              {"qsgd", Quantizer::qsgd},
                                              {"sign", Quantizer::sign}}};

template <class T, std::size_t count>
std::optional<T> named(std::string_view name, const Names<T, count>& names) {
  for (const auto& [known, value] : names)
    if (known == name) return value;
  return std::nullopt;
}

template <class T, std::size_t count>
std::string_view stage_name(const Names<T, count>& names, T value) {
  for (const auto& [name, known] : names)
    if (known == value) return name;
  return "none";
}

template <class Number>
std::optional<Number> number_in(std::string_view text) {
  auto number = Number();
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string shortest(double number) {
  auto digits = std::array<char, 32>();
  const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  return {digits.data(), result.ptr};
}

/// One of the parts between '+'.
struct Stage {
  std::string_view text;
  std::string_view name;
  std::string_view argument;  ///< behind ':'
  bool has_argument = false;
};

std::vector<Stage> stages_of(std::string_view name) {
  auto stages = std::vector<Stage>();
  while (true) {
    const auto end = name.find('+');
    const auto text = name.substr(0, end);
    const auto colon = text.find(':');
    stages.push_back({text, text.substr(0, colon),
                      colon == text.npos ? std::string_view() : text.substr(colon + 1), colon != text.npos});
    if (end == name.npos) return stages;
    name.remove_prefix(end + 1);
  }
}

class Parser {
 public:
  explicit Parser(std::string_view whole) : whole_(whole) {}

  Result<void> add(const Stage& stage) {
    if (const auto sparsifier = named(stage.name, kSparsifiers)) {
      if (auto ok = in_turn(stage, 1); !ok) return ok;
      codec.sparsifier = *sparsifier;
      return read_ratio(stage);
    }
    if (const auto quantizer = named(stage.name, kQuantizers)) {
      if (auto ok = in_turn(stage, 2); !ok) return ok;
      codec.quantizer = *quantizer;
      return read_levels(stage);
    }
    if (stage.name == "zstd") {
      if (auto ok = in_turn(stage, 3); !ok) return ok;
      codec.zstd = kDefaultZstd;
      return read_number(stage, "a level from 1 to 19", 1, kMaxZstd, codec.zstd);
    }
    return refuse(stage, "is no codec");
  }

  Codec codec;

 private:
  Result<void> refuse(const Stage& stage, const std::string& what) const {
    return fail(ec::bad_config, "\"" + std::string(stage.text) + "\" in the codec \"" + std::string(whole_) +
                                    "\" " + what + "; a codec is " + std::string(kCodecGrammar));
  }

  Result<void> in_turn(const Stage& stage, int place) {
    if (place == place_) return refuse(stage, "is a second stage of its kind");
    if (place < place_) return refuse(stage, "comes too late: sparsify, then quantise, then zstd");
    place_ = place;
    return {};
  }

  Result<void> read_ratio(const Stage& stage) {
    if (codec.sparsifier == Sparsifier::prune)
      return stage.has_argument ? refuse(stage, "takes no number") : Result<void>();
    codec.ratio = kDefaultRatio;
    if (!stage.has_argument) return {};
    const auto ratio = number_in<double>(stage.argument);
    if (!ratio || !(*ratio > 0 && *ratio <= 1)) return refuse(stage, "needs a share in (0, 1] behind ':'");
    codec.ratio = *ratio;
    return {};
  }

  Result<void> read_levels(const Stage& stage) {
    if (codec.quantizer == Quantizer::qsgd)
      return read_number(stage, "a number of levels from 1 to 127", 1, kMaxLevels, codec.levels);
    return stage.has_argument ? refuse(stage, "takes no number") : Result<void>();
  }

  Result<void> read_number(const Stage& stage, const char* what, std::uint32_t low, std::uint32_t high,
                           std::uint32_t& number) const {
    if (!stage.has_argument) return {};
    const auto given = number_in<std::uint32_t>(stage.argument);
    if (!given || *given < low || *given > high)
      return refuse(stage, std::string("needs ") + what + " behind ':'");
    number = *given;
    return {};
  }

  std::string_view whole_;
  int place_ = 0;
};

}  // namespace

bool Codec::is_biased() const {
  const auto drops = sparsifier == Sparsifier::top_k || sparsifier == Sparsifier::top_k_layer;
  const auto rounds = quantizer == Quantizer::fp16 || quantizer == Quantizer::bf16;
  // A feedback of what a random draw left out would be added to a draw that is scaled for it already.
  return drops || quantizer == Quantizer::sign || (rounds && sparsifier != Sparsifier::random_k);
}

Result<Codec> parse_codec(std::string_view name) {
  if (name == "none") return Codec();
  auto parser = Parser(name);
  for (const auto& stage : stages_of(name))
    if (auto ok = parser.add(stage); !ok) return tl::unexpected(ok.error());
  const auto& codec = parser.codec;
  if (codec.sparsifier == Sparsifier::random_k && codec.quantizer == Quantizer::sign)
    return fail(ec::bad_config, "the codec \"" + std::string(name) +
                                    "\" joins random_k, which must not have error feedback, with sign, which "
                                    "needs it; use random_k with int8, int4 or qsgd, or top_k with sign");
  return codec;
}

Codec codec_at(Codec codec, std::uint64_t warmup, std::uint64_t base) {
  if (base >= warmup) return codec;
  const auto done = static_cast<double>(base + 1) / static_cast<double>(warmup + 1);
  codec.ratio = std::pow(codec.ratio, done);
  return codec;
}

std::string to_string(const Codec& codec) {
  auto stages = std::vector<std::string>();
  if (codec.is_sparse()) {
    stages.emplace_back(stage_name(kSparsifiers, codec.sparsifier));
    if (codec.sparsifier != Sparsifier::prune) stages.back() += ":" + shortest(codec.ratio);
  }
  if (codec.quantizer != Quantizer::none) {
    stages.emplace_back(stage_name(kQuantizers, codec.quantizer));
    if (codec.quantizer == Quantizer::qsgd) stages.back() += ":" + std::to_string(codec.levels);
  }
  if (codec.zstd > 0) stages.push_back("zstd:" + std::to_string(codec.zstd));
  if (stages.empty()) return "none";
  auto name = stages.front();
  for (auto stage = std::size_t{1}; stage < stages.size(); ++stage) name += "+" + stages[stage];
  return name;
}

}  // namespace fl
