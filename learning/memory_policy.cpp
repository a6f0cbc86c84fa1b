#include "learning/memory_policy.hpp"

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

namespace fl {

void keep_freed_memory() {
#ifdef M_MMAP_THRESHOLD
  // glibc raises both by itself, to these limits at most, whenever a larger block than before is freed; here
  // they are from the start. Blocks above the first, such as large models, still go back to the system at
  // once.
  constexpr auto kMapFromBytes = 32 * 1024 * 1024;
  constexpr auto kTrimAboveBytes = 2 * kMapFromBytes;
  // Memory that one thread takes and another frees stays with the first one's arena, so few arenas keep it
  // bounded: glibc would make eight for each core.
  constexpr auto kArenas = 2;
  [[maybe_unused]] static const auto set = mallopt(M_MMAP_THRESHOLD, kMapFromBytes) +
                                           mallopt(M_TRIM_THRESHOLD, kTrimAboveBytes) +
                                           mallopt(M_ARENA_MAX, kArenas);
#endif
}

}  // namespace fl
