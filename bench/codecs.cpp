// How close encoding and decoding come to the memory's read bandwidth, on one core: every row is a ratio to
// reading the same floats, measured in the same round. Bytes are the float32 that a codec takes in or gives
// out. Top-k is also given in milliseconds.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/measure.hpp"
#include "learning/compression/encoded_array.hpp"
#include "learning/parameters.hpp"
#include "learning/random.hpp"
#include "learning/vectorize.hpp"

using fl::bench::median;
using fl::bench::read_all;

namespace {

constexpr int kRounds = 9;

volatile std::uint32_t sink;  // results go here, so that no loop is left out

struct Measurement {
  std::string name;
  std::function<void()> work;
  double bytes_per_value = 4;      ///< as coded
  std::vector<double> seconds;     ///< [rounds]
  std::vector<double> of_reading;  ///< [rounds]
};

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

fl::EncodedArray encoded(const fl::Codec& codec, const fl::Parameters& values) {
  const auto bytes = fl::encode_array(codec, *values.layout(), values.values(), 1).value();
  auto buffer = fl::AlignedBuffer(bytes.size());
  fl::copy_bytes(bytes.span(), buffer.data());
  return {std::make_shared<const fl::MemorySource>(std::move(buffer)), 0, values.size(), bytes.size(), codec};
}

void measure(std::size_t size) {
  auto layout = std::make_shared<fl::Layout>();
  layout->add("flat", {static_cast<std::int64_t>(size)});
  auto update = fl::Parameters(layout);
  auto random = fl::RandomStream(1);
  for (auto& value : update.values()) value = static_cast<float>(1e-3 * random.normal());
  auto out = update.clone();

  auto measurements = std::vector<Measurement>();
  measurements.push_back({"read", [&] { sink = read_all(update.values().data(), size); }, 4, {}, {}});
  for (const auto* name : {"none", "fp16", "bf16", "int8", "int4", "qsgd:127", "qsgd:7", "sign", "top_k:0.01",
                           "top_k:0.01+int8", "top_k:0.1+int8", "random_k:0.01", "int8+zstd:1"}) {
    const auto codec = fl::parse_codec(name).value();
    const auto array = encoded(codec, update);
    const auto bytes = static_cast<double>(array.size_bytes) / static_cast<double>(size);
    measurements.push_back({std::string("encode ") + name,
                            [&, codec] {
                              const auto coded = fl::encode_array(codec, *layout, update.values(), 1).value();
                              sink = static_cast<std::uint32_t>(coded.size());
                            },
                            bytes,
                            {},
                            {}});
    measurements.push_back({std::string("fold ") + name,
                            [&, array] {
                              if (!fl::add_decoded(array, 1e-3f, out.values())) std::abort();
                            },
                            bytes,
                            {},
                            {}});
  }
  for (auto& measurement : measurements) measurement.work();  // touches all memory
  for (int round = 0; round < kRounds; ++round)
    for (auto& measurement : measurements) {
      measurement.seconds.push_back(seconds_of(measurement.work));
      measurement.of_reading.push_back(measurements.front().seconds.back() / measurement.seconds.back());
    }

  std::printf("\n%.1f M floats (%.1f MB), one core, median of %d rounds\n", static_cast<double>(size) / 1e6,
              static_cast<double>(size) * 4 / 1e6, kRounds);
  std::printf("%-26s %12s %10s %8s %12s\n", "", "bytes/value", "ms", "GB/s", "of reading");
  for (const auto& measurement : measurements) {
    const auto seconds = median(measurement.seconds);
    std::printf("%-26s %12.3f %10.2f %8.2f %11.0f%%\n", measurement.name.c_str(), measurement.bytes_per_value,
                1e3 * seconds, static_cast<double>(size) * 4 / seconds / 1e9,
                100 * median(measurement.of_reading));
  }
}

}  // namespace

int main() {
  for (const std::size_t size : {1'200'000, 25'000'000}) measure(size);
  return 0;
}
