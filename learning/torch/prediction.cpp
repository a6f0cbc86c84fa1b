#include "learning/torch/prediction.hpp"

#include <torch/script.h>

#include <algorithm>
#include <numeric>

#include "learning/torch/error_text.hpp"
#include "learning/torch/torch_export.hpp"

namespace fl {

namespace {

constexpr std::size_t kBatch = 1024;

class ScriptPredictor final : public Predictor {
 public:
  ScriptPredictor(torch::jit::Module module, std::string about, std::string file)
      : module_(std::move(module)), about_(std::move(about)), file_(std::move(file)) {}

  const std::string& about() const override { return about_; }

  Result<std::vector<float>> outputs(const Dataset& data) override {
    const auto no_grad = at::NoGradGuard();
    auto result = std::vector<float>();
    auto shape = data.sample_shape();
    shape.insert(shape.begin(), 0);
    for (auto begin = std::size_t{0}; begin < data.size(); begin += kBatch) {
      auto rows = std::vector<std::uint32_t>(std::min(kBatch, data.size() - begin));
      std::iota(rows.begin(), rows.end(), static_cast<std::uint32_t>(begin));
      shape.front() = static_cast<std::int64_t>(rows.size());
      auto batch = at::empty(shape, at::kFloat);
      data.gather_features(rows, {batch.data_ptr<float>(), rows.size() * data.sample_size()});
      try {
        const auto answer = module_.forward({batch}).toTensor().to(at::kFloat).contiguous();
        if (answer.dim() == 0 || answer.size(0) != shape.front())
          return fail(ec::bad_data, file_ + ": the model's outputs are not one row for each sample");
        const auto* values = answer.data_ptr<float>();
        result.insert(result.end(), values, values + answer.numel());
      } catch (const std::exception& error) {
        return fail(ec::bad_data, file_ + ": the model does not take these samples: " + text_of(error));
      }
    }
    return result;
  }

 private:
  torch::jit::Module module_;
  std::string about_;
  std::string file_;
};

}  // namespace

Result<std::unique_ptr<Predictor>> load_predictor(const std::filesystem::path& file) {
  auto beside = torch::jit::ExtraFilesMap{{kAboutFile, ""}};
  try {
    auto module = torch::jit::load(file.string(), at::kCPU, beside);
    module.eval();
    return std::make_unique<ScriptPredictor>(std::move(module), beside[kAboutFile], file.string());
  } catch (const std::exception& error) {
    return fail(ec::bad_data, file.string() + " cannot be read as TorchScript: " + text_of(error));
  }
}

}  // namespace fl
