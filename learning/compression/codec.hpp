// How an array of float32 is written in fewer bytes, by name: "int8", "top_k:0.01+int8+zstd".
//
// A codec has up to three stages, in this order, joined by '+':
//
//   keep some values       top_k:R  top_k_layer:R  random_k:R  prune
//   write each in fewer bits   fp16  bf16  int8  int4  qsgd:S  sign
//   drop what is redundant     zstd[:L]
//
// docs/communication.md says what each is good for, and what it reached.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "messages/errors.hpp"

namespace fl {

/// Which values are kept.
enum class Sparsifier : std::uint8_t {
  none,         ///< all
  top_k,        ///< the R·d largest by magnitude, over the whole model (Aji 2017, 1704.05021)
  top_k_layer,  ///< the R·d_l largest of each tensor
  random_k,     ///< R·d by a seeded draw, times d/k: unbiased (Konečný 2016, 1610.05492)
  prune,        ///< those that are not zero, as after train.prune_ratio
};

/// How a kept value is written.
enum class Quantizer : std::uint8_t {
  none,  ///< float32
  fp16,  ///< IEEE 754 half precision, to nearest even; beyond ±65,504 that
  bf16,  ///< the upper half of a float32, to nearest even
  int8,  ///< 256 levels between the least and the greatest of a block
  int4,  ///< 16 levels
  qsgd,  ///< S levels of the block's norm in either direction (Alistarh 2017, 1610.02132)
  sign,  ///< the block's mean magnitude and one bit a value (Karimireddy 2019, 1901.09847)
};

struct Codec {
  Sparsifier sparsifier = Sparsifier::none;
  double ratio = 1;  ///< R: of the values that are kept, in (0, 1]
  Quantizer quantizer = Quantizer::none;
  std::uint32_t levels = 127;  ///< S of qsgd, in [1, 127]
  std::uint32_t zstd = 0;      ///< level of zstd, in [1, 19]; 0: not used

  bool operator==(const Codec&) const = default;

  /// Float32 as it lies in memory.
  bool is_none() const { return *this == Codec{}; }

  /// Whether what was kept is not in place: indices travel with the values.
  bool is_sparse() const { return sparsifier != Sparsifier::none; }

  /// Whether the decoded array can differ from the encoded one.
  bool is_lossy() const {
    return quantizer != Quantizer::none || (is_sparse() && sparsifier != Sparsifier::prune);
  }

  /// Whether the decoded array differs from the encoded one on average over random streams. Then what was
  /// left out has to be added to the next array, or it never arrives (error feedback, 1901.09847). Under it
  /// quantisers round to nearest, for what a rounding loses is not lost.
  bool is_biased() const;
};

/// Reads a codec's name. Fails with `bad_config`: the text says what is wrong and what would be right.
Result<Codec> parse_codec(std::string_view name);

/// The name with all its numbers: parse_codec(to_string(codec)) == codec.
std::string to_string(const Codec& codec);

/// The codec of updates from version `base` on, when the share that is kept sinks exponentially over the
/// first `warmup` versions to the codec's ratio R: R^((base + 1) / (warmup + 1)) (Deep Gradient Compression,
/// Lin 2018, 1712.01887: with R = 0.001 and 4 versions 25 %, 6.3 %, 1.6 %, 0.4 %, 0.1 %).
Codec codec_at(Codec codec, std::uint64_t warmup, std::uint64_t base);

/// Of what codecs are made: for messages and docs.
inline constexpr std::string_view kCodecGrammar =
    "none, or up to three stages joined by '+': top_k:R, top_k_layer:R, random_k:R or prune; then fp16, "
    "bf16, "
    "int8, int4, qsgd:S or sign; then zstd or zstd:L (R in (0, 1], S in 1…127, L in 1…19), such as "
    "\"top_k:0.01+int8+zstd\"";

}  // namespace fl
