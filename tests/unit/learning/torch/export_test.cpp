// The TorchScript export, reloaded by torch itself.
#include <torch/script.h>
// torch first: its CHECK would replace doctest's.
#undef CHECK
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "fixtures.hpp"

using namespace fl;
using namespace fl::torch_tests;

namespace {

/// A folder that is gone when the test ends.
class ScratchFolder {
 public:
  ScratchFolder()
      : path(std::filesystem::temp_directory_path() / ("fl_export_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path);
  }
  ~ScratchFolder() { std::filesystem::remove_all(path); }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path path;
};

}  // namespace

TEST_CASE("an exported model has the layout's names and gives the same answers") {
  const auto folder = ScratchFolder();
  for (const auto& model : std::vector<std::string>{"simple_cnn", "mcmahan_cnn", "mlp_2nn", "logistic"}) {
    CAPTURE(model);
    const auto trainer = trainer_of(model, {1, 28, 28});
    const auto data = blobs({1, 28, 28}, 10, 40);
    const auto parameters = initial(*trainer);
    const auto file = folder.path / "model.pt";
    REQUIRE(trainer->export_torchscript(*parameters, file, {}));

    auto module = torch::jit::load(file.string());
    auto names = std::vector<std::string>();
    for (const auto& named : module.named_parameters()) names.push_back(named.name);
    auto expected = std::vector<std::string>();
    for (const auto& entry : trainer->layout()->entries()) expected.push_back(entry.name);
    CHECK(names == expected);

    auto x = at::empty({40, 1, 28, 28});
    auto y = at::empty({40}, at::kLong);
    data->dataset->gather(data->rows, {x.data_ptr<float>(), static_cast<std::size_t>(x.numel())},
                          {y.data_ptr<std::int64_t>(), 40});
    const auto logits = module.forward({x}).toTensor();
    const auto loss = at::cross_entropy_loss(logits, y).item<double>();
    const auto accuracy = logits.argmax(1).eq(y).to(at::kDouble).mean().item<double>();
    const auto evaluation = evaluate(*trainer, parameters, data);
    CHECK(evaluation.loss == doctest::Approx(loss).epsilon(1e-5));
    CHECK(evaluation.accuracy == doctest::Approx(accuracy));
  }
  // Only the model is there: the temporary files are gone.
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
}

TEST_CASE("an export that cannot be written says so") {
  const auto folder = ScratchFolder();
  const auto trainer = trainer_of("logistic", {4}, 3);
  const auto written = trainer->export_torchscript(*initial(*trainer), "/nowhere/at/all/model.pt", {});
  REQUIRE_FALSE(written);
  CHECK(written.error().code == ec::io_failed);
  const auto other = trainer_of("logistic", {5}, 3);
  CHECK(other->export_torchscript(*initial(*trainer), folder.path / "never", {}).error().code ==
        ec::layout_mismatch);
}
