// The loops over whole models. Elementwise, vectorised, compiled without fused multiply-add contraction, so the same
// bits come out on every x86-64 and arm64 machine and for any blocking.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "messages/bytes.hpp"

namespace fl::kernels {

/// sum[i] = weight · update[i]: the first fold into a buffer needs no cleared memory.
void scale_into(std::span<float> sum, std::span<const float> update, float weight);

/// sum[i] += weight · update[i].
void fold(std::span<float> sum, std::span<const float> update, float weight);

/// sum[i] += weight · (model[i] − base[i]): folds a whole model (FedAsync).
void fold_difference(std::span<float> sum, std::span<const float> model, std::span<const float> base, float weight);

/// out[i] = a[i] − b[i].
void subtract(std::span<float> out, std::span<const float> a, std::span<const float> b);

/// out[i] = x[i] + scale · d[i].
void add_scaled(std::span<float> out, std::span<const float> x, std::span<const float> d, float scale);

bool all_finite(std::span<const float> values);

/// Σ v², in double, over a fixed tree of blocks: the same bits however the data is cut or read.
double sum_of_squares(std::span<const float> values);

/// Calls `visit(first_index, values)` over `count` floats that begin at byte `offset` of `source`, in blocks of at most
/// kVisitBlock floats: where the source lies in memory without copying, else through a buffer that fits the L2 cache.
inline constexpr std::size_t kVisitBlock = 65'536;
Result<void> visit_floats(const ByteSource& source, std::uint64_t offset, std::uint64_t count,
                          const std::function<void(std::uint64_t first_index, std::span<const float> values)>& visit);

}  // namespace fl::kernels
