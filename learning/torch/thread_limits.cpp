#include "learning/torch/thread_limits.hpp"

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <atomic>

namespace fl {

namespace {

/// Looked up at run time: other BLAS libraries have no such function, and then none is needed.
void limit_blas_threads(int threads) {
  static const auto set = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  static auto current = std::atomic<int>(0);
  if (set != nullptr && current.exchange(threads) != threads) set(threads);
}

}  // namespace

void limit_threads(std::uint32_t threads) {
  const auto count = static_cast<int>(threads);
  if (at::get_num_threads() != count) at::set_num_threads(count);
  limit_blas_threads(count);
}

}  // namespace fl
