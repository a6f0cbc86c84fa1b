// How close the loops over models come to the memory's bandwidth, on one core: every row is a ratio to the
// triad measured in the same round. Bytes are those a loop names (fold: 12 per element), not what the caches
// add to them.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/measure.hpp"
#include "learning/aggregation/server_optimizer.hpp"
#include "learning/kernels.hpp"
#include "learning/parameters.hpp"
#include "learning/vectorize.hpp"

using fl::bench::median;
using fl::bench::read_all;

namespace {

constexpr int kRounds = 15;
/// Bytes that one measurement moves at least, so that small models are not lost in the clock's resolution.
constexpr double kBytesPerMeasurement = 1.2e9;

/// STREAM triad (McCalpin 1995): the bandwidth of reading two arrays and writing a third.
FL_VECTORIZED void triad(float* a, const float* b, const float* c, float scale, std::size_t size) {
  FL_ELEMENTWISE
  for (std::size_t i = 0; i < size; ++i) a[i] = b[i] + scale * c[i];
}

volatile double sink;  // results go here, so that no loop is left out

/// Bytes of a file that is deleted when it is closed.
class FileSource final : public fl::ByteSource {
 public:
  explicit FileSource(std::span<const std::byte> bytes) : size_(bytes.size()) {
    auto name = (std::filesystem::temp_directory_path() / "fl_bench_XXXXXX").string();
    file_ = ::mkstemp(name.data());
    if (file_ < 0 || ::unlink(name.c_str()) != 0) std::abort();
    for (std::size_t done = 0; done < bytes.size();) {
      const auto written = ::write(file_, bytes.data() + done, bytes.size() - done);
      if (written <= 0) std::abort();
      done += static_cast<std::size_t>(written);
    }
  }
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;
  ~FileSource() override { ::close(file_); }

  std::uint64_t size() const override { return size_; }

  fl::Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override {
    if (::pread(file_, out.data(), out.size(), static_cast<off_t>(offset)) ==
        static_cast<ssize_t>(out.size())) {
      return {};
    }
    return fl::fail(fl::ec::io_failed, "short read");
  }

 private:
  int file_ = -1;
  std::uint64_t size_;
};

struct Measurement {
  std::string name;
  double bytes_per_element;
  std::function<void()> work;
  std::vector<double> gigabytes_per_second;  ///< [rounds]
  std::vector<double> ratios_to_triad;       ///< [rounds]
};

double rate(const Measurement& measurement, std::size_t size) {
  const auto bytes = measurement.bytes_per_element * static_cast<double>(size);
  const auto repetitions = std::max(1, static_cast<int>(kBytesPerMeasurement / bytes));
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < repetitions; ++i) measurement.work();
  const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return bytes * repetitions / seconds / 1e9;
}

fl::Parameters ramp(const fl::LayoutPtr& layout, float step) {
  auto parameters = fl::Parameters(layout);
  auto value = 0.0f;
  for (auto& element : parameters.values()) element = value += step;
  return parameters;
}

void measure(std::size_t size) {
  auto layout = std::make_shared<fl::Layout>();
  layout->add("flat", {static_cast<std::int64_t>(size)});
  auto sum = ramp(layout, 1e-9f);
  auto out = ramp(layout, 0);
  const auto update = ramp(layout, 2e-9f);
  const auto base = ramp(layout, 3e-9f);
  const auto file = FileSource(update.bytes());
  auto adam = fl::ServerOptimizer({.name = fl::ServerOptimizerName::adam}, layout);
  auto plain = fl::ServerOptimizer({}, layout);
  constexpr float kWeight = 1e-3f;

  auto measurements = std::vector<Measurement>();
  const auto add = [&](std::string name, double bytes_per_element, std::function<void()> work) {
    measurements.push_back({std::move(name), bytes_per_element, std::move(work), {}, {}});
  };
  add("triad", 12,
      [&] { triad(out.values().data(), base.values().data(), update.values().data(), kWeight, size); });
  add("read", 4, [&] { sink = read_all(update.values().data(), size); });
  add("fold", 12, [&] { fl::kernels::fold(sum.values(), update.values(), kWeight); });
  add("fold from a file", 12, [&] {
    const auto read =
        fl::kernels::visit_floats(file, 0, size, [&](std::uint64_t first, std::span<const float> values) {
          fl::kernels::fold(sum.values().subspan(first, values.size()), values, kWeight);
        });
    if (!read) std::abort();
  });
  add("fold_difference", 16,
      [&] { fl::kernels::fold_difference(sum.values(), update.values(), base.values(), kWeight); });
  add("scale_into", 8, [&] { fl::kernels::scale_into(sum.values(), update.values(), kWeight); });
  add("subtract", 12, [&] { fl::kernels::subtract(out.values(), update.values(), base.values()); });
  add("sum_of_squares", 4, [&] { sink = fl::kernels::sum_of_squares(update.values()); });
  add("all_finite", 4, [&] { sink = fl::kernels::all_finite(update.values()) ? 1 : 0; });
  add("server step, none", 12, [&] { plain.step(out.values(), base.values(), sum.values(), 10, 1); });
  add("server step, adam", 28, [&] { adam.step(out.values(), base.values(), sum.values(), 10, 0.1); });

  for (auto& measurement : measurements) (void)rate(measurement, size);  // touches all memory
  for (int round = 0; round < kRounds; ++round) {
    for (auto& measurement : measurements) {
      measurement.gigabytes_per_second.push_back(rate(measurement, size));
      measurement.ratios_to_triad.push_back(measurement.gigabytes_per_second.back() /
                                            measurements.front().gigabytes_per_second.back());
    }
  }

  std::printf("\n%.1f M floats (%.1f MB), median of %d rounds\n", static_cast<double>(size) / 1e6,
              static_cast<double>(size) * 4 / 1e6, kRounds);
  std::printf("%-26s %10s %8s %10s\n", "loop", "B/element", "GB/s", "of triad");
  for (const auto& measurement : measurements) {
    std::printf("%-26s %10.0f %8.1f %9.0f%%\n", measurement.name.c_str(), measurement.bytes_per_element,
                median(measurement.gigabytes_per_second), 100 * median(measurement.ratios_to_triad));
  }
}

}  // namespace

int main() {
  for (const std::size_t size : {1'200'000, 25'000'000}) measure(size);
  return 0;
}
