#include "learning/data/dataset.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/idx_files.hpp"

using namespace fl;
using namespace fl::test;

namespace {

constexpr std::size_t kImage_bytes = 28 * 28;

IdxBytes images(std::uint32_t count) {
  IdxBytes file{.dimensions = {count, 28, 28}, .values = {}};
  for (std::size_t i = 0; i < count * kImage_bytes; ++i)
    file.values.push_back(static_cast<std::uint8_t>(i % 256));
  return file;
}

IdxBytes labels(std::vector<std::uint8_t> values) {
  return {.dimensions = {static_cast<std::uint32_t>(values.size())}, .values = std::move(values)};
}

/// A folder like MNIST's with three training images and two test images.
void write_small_mnist(const IdxFolder& folder) {
  folder.write("train-images-idx3-ubyte", images(3).encode());
  folder.write_gzip("train-labels-idx1-ubyte.gz", labels({5, 0, 9}).encode());
  folder.write_gzip("t10k-images.idx3-ubyte.gz", images(2).encode());
  folder.write("t10k-labels.idx1-ubyte", labels({1, 2}).encode());
}

Result<TrainTest> load(const IdxFolder& folder) {
  return load_dataset({.name = "mnist", .dir = folder.path()}, 1, 1);
}

void check_refused(const IdxFolder& folder, const std::string& file, const std::string& what) {
  const auto loaded = load(folder);
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().code == ec::bad_data);
  const auto& text = loaded.error().text;
  INFO(text);
  CHECK(text.find(file) != std::string::npos);
  CHECK(text.find(what) != std::string::npos);
  CHECK(text.find("scripts/fetch_mnist.sh") != std::string::npos);
  CHECK(text.find("data.dir") != std::string::npos);
}

void check_config_refused(const DatasetOptions& options, std::uint32_t clients, const std::string& what) {
  const auto loaded = load_dataset(options, 1, clients);
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().code == ec::bad_config);
  INFO(loaded.error().text);
  CHECK(loaded.error().text.find(what) != std::string::npos);
}

}  // namespace

TEST_CASE("mnist is read from any mixture of file spellings") {
  const IdxFolder folder;
  write_small_mnist(folder);
  const auto loaded = load(folder);
  REQUIRE(loaded);
  CHECK(loaded->train->size() == 3);
  CHECK(loaded->test->size() == 2);
  CHECK(loaded->owners.empty());
  CHECK(loaded->train->classes() == 10);
  CHECK(loaded->train->sample_shape() == std::vector<std::int64_t>{1, 28, 28});
  CHECK(loaded->train->label(0) == 5);
  CHECK(loaded->train->label(2) == 9);
  CHECK(loaded->test->label(1) == 2);
}

TEST_CASE("mnist is refused with the file, the fault and the remedy") {
  const IdxFolder folder;
  write_small_mnist(folder);
  SUBCASE("missing file") {
    std::filesystem::remove(folder.path() / "t10k-labels.idx1-ubyte");
    check_refused(folder, "t10k-labels-idx1-ubyte", "is missing");
  }
  SUBCASE("missing folder") {
    std::filesystem::remove_all(folder.path());
    check_refused(folder, "train-images-idx3-ubyte", "is missing");
  }
  SUBCASE("truncated file") {
    const auto whole = images(3).encode();
    folder.write("train-images-idx3-ubyte", whole.substr(0, whole.size() - 1));
    check_refused(folder, "train-images-idx3-ubyte", "expected 2368 bytes, found 2367");
  }
  SUBCASE("labels in place of images") {
    folder.write("train-images-idx3-ubyte", labels(std::vector<std::uint8_t>(100, 1)).encode());
    check_refused(folder, "train-images-idx3-ubyte", "wrong magic number 0x00000801");
  }
  SUBCASE("other image size") {
    folder.write("train-images-idx3-ubyte",
                 IdxBytes{.dimensions = {1, 2, 3}, .values = {1, 2, 3, 4, 5, 6}}.encode());
    check_refused(folder, "train-images-idx3-ubyte", "2 × 3 pixels");
  }
  SUBCASE("counts that differ") {
    folder.write("t10k-labels.idx1-ubyte", labels({1, 2, 3}).encode());
    check_refused(folder, "t10k-labels.idx1-ubyte", "holds 3 labels");
  }
  SUBCASE("label out of range") {
    folder.write("t10k-labels.idx1-ubyte", labels({1, 10}).encode());
    check_refused(folder, "t10k-labels.idx1-ubyte", "label 10 at position 1");
  }
}

TEST_CASE("gather gives bytes normalised to [-1, 1], in the order asked for") {
  const Dataset dataset({2}, 3, std::vector<std::uint8_t>{0, 255, 51, 102, 128, 1}, {2, 0, 1});
  std::vector<float> features(4);
  std::vector<std::int64_t> classes(2);
  dataset.gather(std::vector<std::uint32_t>{1, 0}, features, classes);
  CHECK(features[0] == (51.0f / 255.0f - 0.5f) / 0.5f);
  CHECK(features[1] == doctest::Approx(-0.2));
  CHECK(features[2] == -1.0f);
  CHECK(features[3] == 1.0f);
  CHECK(classes == std::vector<std::int64_t>{0, 2});
}

TEST_CASE("gather gives floats as they are") {
  const Dataset dataset({1, 2}, 2, std::vector<float>{0.5f, -7.0f, 3.0f, 4.0f}, {1, 0});
  std::vector<float> features(4);
  std::vector<std::int64_t> classes(2);
  dataset.gather(std::vector<std::uint32_t>{1, 1}, features, classes);
  CHECK(features == std::vector<float>{3, 4, 3, 4});
  CHECK(classes == std::vector<std::int64_t>{0, 0});
}

TEST_CASE("a dataset refuses what only a bug would give it") {
  using Bytes = std::vector<std::uint8_t>;
  CHECK_THROWS_AS(Dataset({2}, 2, Bytes{1, 2, 3}, {0, 1}), std::invalid_argument);
  CHECK_THROWS_AS(Dataset({1}, 2, Bytes{1, 2}, {0, 2}), std::invalid_argument);
  CHECK_THROWS_AS(Dataset({1}, 2, Bytes{1, 2}, {0, -1}), std::invalid_argument);
  const Dataset dataset({1}, 2, Bytes{1, 2}, {0, 1});
  std::vector<float> features(1);
  std::vector<std::int64_t> classes(1);
  CHECK_THROWS_AS(dataset.gather(std::vector<std::uint32_t>{2}, features, classes), std::invalid_argument);
  CHECK_THROWS_AS(dataset.gather(std::vector<std::uint32_t>{0, 1}, features, classes), std::invalid_argument);
}

TEST_CASE("a view of all rows counts every class") {
  const auto dataset =
      std::make_shared<const Dataset>(std::vector<std::int64_t>{1}, 3u, std::vector<float>{0, 0, 0, 0},
                                      std::vector<std::int64_t>{2, 0, 2, 2});
  const auto view = DataView::all(dataset);
  CHECK(view.rows == std::vector<std::uint32_t>{0, 1, 2, 3});
  CHECK(view.label_histogram() == std::vector<std::uint64_t>{1, 0, 3});
}

TEST_CASE("settings of data that cannot be are refused") {
  check_config_refused({.name = "cifar"}, 3, "expected mnist, synthetic_digits or synthetic_logistic");
  check_config_refused({.name = "synthetic_digits", .synthetic_train = 0}, 3, "data.synthetic_train is 0");
  check_config_refused({.name = "synthetic_digits", .synthetic_test = 4'000'000'000}, 3,
                       "data.synthetic_test");
  check_config_refused({.name = "synthetic_logistic", .logistic_alpha = -1}, 3, "data.logistic_alpha");
  check_config_refused({.name = "synthetic_logistic", .logistic_beta = std::nan("")}, 3,
                       "data.logistic_beta");
  check_config_refused({.name = "synthetic_logistic"}, 0, "clients.count");
}
