// libFuzzer's entry points, for the target that the environment's FL_FUZZ_TARGET names.
#include <spdlog/spdlog.h>

#include <cstdlib>

#include "tests/fuzz/fuzz_target.hpp"

namespace {

fl::fuzz::Target chosen;

}  // namespace

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  spdlog::set_level(spdlog::level::off);
  const auto* const name = std::getenv("FL_FUZZ_TARGET");
  for (const auto& target : fl::fuzz::targets())
    if (name != nullptr && target.name == name) chosen = target;
  if (chosen.run != nullptr) return 0;
  std::cerr << "set FL_FUZZ_TARGET to one of:";
  for (const auto& target : fl::fuzz::targets()) std::cerr << ' ' << target.name;
  std::cerr << '\n';
  std::exit(2);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  chosen.run({data, size});
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  return chosen.mutate ? chosen.mutate(data, size, max_size, seed) : LLVMFuzzerMutate(data, size, max_size);
}
