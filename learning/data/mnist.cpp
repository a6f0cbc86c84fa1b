#include "learning/data/mnist.hpp"

#include <algorithm>

#include "learning/data/idx.hpp"

namespace fl {
namespace {

constexpr std::uint32_t kMnistSide_pixels = 28;
constexpr std::uint32_t kMnistClasses = 10;

constexpr auto kAdvice =
    ". Run scripts/fetch_mnist.sh, set data.dir to a folder that holds the four MNIST files, or set "
    "data.name=synthetic_digits, which needs no files";

tl::unexpected<Error> bad_mnist(const std::filesystem::path& file, const std::string& what) {
  return fail(ec::bad_data, file.string() + " " + what);
}

/// One half of MNIST; `prefix` is "train" or "t10k".
Result<DatasetPtr> load_half(const std::filesystem::path& dir, const std::string& prefix) {
  auto pair = read_idx_pair(dir, prefix);
  if (!pair) return tl::unexpected(pair.error());
  const auto& [images_file, labels_file, images, labels] = *pair;

  const auto& extents = images.extents;
  if (extents[1] != kMnistSide_pixels || extents[2] != kMnistSide_pixels) {
    return bad_mnist(images_file, "holds images of " + std::to_string(extents[1]) + " × " +
                                      std::to_string(extents[2]) + " pixels, expected 28 × 28");
  }
  if (auto ok = check_counts(*pair); !ok) return tl::unexpected(ok.error());
  const auto outside = std::ranges::find_if(labels.values, [](auto label) { return label >= kMnistClasses; });
  if (outside != labels.values.end()) {
    return bad_mnist(labels_file, "holds the label " + std::to_string(*outside) + " at position " +
                                      std::to_string(outside - labels.values.begin()) +
                                      ", expected labels from 0 to 9");
  }
  return std::make_shared<const Dataset>(
      std::vector<std::int64_t>{1, kMnistSide_pixels, kMnistSide_pixels}, kMnistClasses,
      std::move(pair->images.values), std::vector<std::int64_t>(labels.values.begin(), labels.values.end()));
}

}  // namespace

Result<TrainTest> load_mnist(const std::filesystem::path& dir) {
  const auto with_advice = [](const Error& error) { return fail(error.code, error.text + kAdvice); };
  auto train = load_half(dir, "train");
  if (!train) return with_advice(train.error());
  auto test = load_half(dir, "t10k");
  if (!test) return with_advice(test.error());
  return TrainTest{.train = *train, .test = *test, .owners = {}};
}

}  // namespace fl
