// How many threads torch and the BLAS use for one task.
#pragma once

#include <cstdint>

namespace fl {

/// Sets both for the calling thread (torch) and the process (BLAS) unless they are so already. torch's own
/// setting does not reach OpenBLAS, which otherwise burns all cores for the work of one.
void limit_threads(std::uint32_t threads);

}  // namespace fl
