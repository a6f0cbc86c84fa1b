// Runs every kept input of every target once, in any build: what the fuzzers found stays found.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/fuzz_target.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: fuzz_regressions CORPUS_DIR (with one folder a target)\n";
    return 2;
  }
  spdlog::set_level(spdlog::level::off);
  for (const auto& target : fl::fuzz::targets()) {
    const auto folder = std::filesystem::path(argv[1]) / target.name;
    auto missing = std::error_code();
    auto files = std::vector<std::filesystem::path>();
    for (const auto& entry : std::filesystem::directory_iterator(folder, missing))
      files.push_back(entry.path());
    if (files.empty()) {
      std::cerr << "no inputs in " << folder << "; make_corpus writes some\n";
      return 1;
    }
    std::ranges::sort(files);
    for (const auto& file : files) {
      auto stream = std::ifstream(file, std::ios::binary);
      // Of exactly their size, so that a sanitizer sees a read of even one byte too many.
      const auto bytes = std::vector<char>(std::istreambuf_iterator<char>(stream), {});
      const auto input = std::vector<std::uint8_t>(bytes.begin(), bytes.end());
      std::cout << target.name << ' ' << file.filename().string() << std::endl;
      target.run(input);
    }
  }
}
