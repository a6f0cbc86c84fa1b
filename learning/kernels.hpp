// The loops over whole models. Elementwise, vectorised, compiled without fused multiply-add contraction, so
// the same bits come out on every x86-64 and arm64 machine and for any blocking.
//
// The spans of one call have the same size (else std::invalid_argument: a bug); an output may be one of the
// inputs.
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
void fold_difference(std::span<float> sum, std::span<const float> model, std::span<const float> base,
                     float weight);

/// sum[i] = weight · (model[i] − base[i]): the first of those.
void scale_difference_into(std::span<float> sum, std::span<const float> model, std::span<const float> base,
                           float weight);

/// out[i] = a[i] − b[i].
void subtract(std::span<float> out, std::span<const float> a, std::span<const float> b);

/// out[i] = x[i] + scale · d[i].
void add_scaled(std::span<float> out, std::span<const float> x, std::span<const float> d, float scale);

bool all_finite(std::span<const float> values);

/// Floats in one block of a visit: 256 KB, so that a block and its part of the sum stay in an L2 cache.
inline constexpr std::size_t kVisitBlock = 65'536;

/// Σ v², in double, over a fixed tree: each block of kVisitBlock in lanes that are added pairwise, the blocks
/// in order. So the sums of the blocks of a visit, added in order, have the bits of the sum over the whole.
double sum_of_squares(std::span<const float> values);

/// Calls `visit(first_index, values)` over `count` floats that begin at byte `offset` of `source`, in order,
/// in blocks of kVisitBlock floats (the last may be shorter): without copying where the source lies in
/// memory, else through a buffer of one block. Fails with `corrupt_data` before the first call when the
/// floats do not lie within the source, else with what `read` fails with, having visited the blocks before.
Result<void> visit_floats(
    const ByteSource& source, std::uint64_t offset, std::uint64_t count,
    const std::function<void(std::uint64_t first_index, std::span<const float> values)>& visit);

}  // namespace fl::kernels
