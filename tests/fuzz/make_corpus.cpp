// Writes the examples of every target, made by the real encoders, into CORPUS_DIR/<target>/seed-<name>.
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/fuzz/fuzz_target.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: fuzz_make_corpus CORPUS_DIR\n";
    return 2;
  }
  for (const auto& target : fl::fuzz::targets()) {
    const auto folder = std::filesystem::path(argv[1]) / target.name;
    std::filesystem::create_directories(folder);
    for (const auto& seed : target.seeds()) {
      auto stream = std::ofstream(folder / ("seed-" + std::string(seed.name)), std::ios::binary);
      stream.write(reinterpret_cast<const char*>(seed.bytes.data()),
                   static_cast<std::streamsize>(seed.bytes.size()));
      if (!stream) {
        std::cerr << "cannot write to " << folder << '\n';
        return 1;
      }
    }
  }
}
