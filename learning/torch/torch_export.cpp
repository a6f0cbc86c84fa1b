#include "learning/torch/torch_export.hpp"

#include <unistd.h>

#include "learning/torch/error_text.hpp"

namespace fl {

namespace {

/// The model behind the same arithmetic that its training data went through: in double (type 7; 6 is float),
/// since what is taken away may be much larger than what is left.
torch::jit::Module behind(const std::vector<double>& standardisation, const Network& network,
                          const torch::jit::Module& model) {
  const auto both = at::tensor(standardisation, at::kDouble).reshape({-1, 2});
  auto module = torch::jit::Module("Standardised");
  module.register_module("model", model);
  module.register_buffer("mean", both.select(1, 0).reshape(network.sample_shape()).clone());
  module.register_buffer("deviation", both.select(1, 1).reshape(network.sample_shape()).clone());
  module.define(R"(
def forward(self, x):
    x = (x.to(7) - self.mean) / self.deviation
    x = torch.where(torch.isnan(x), torch.zeros_like(x), x)
    return self.model.forward(x.to(6))
)");
  module.eval();
  return module;
}

}  // namespace

Result<void> write_torchscript(const Network& network, const Parameters& model,
                               const std::filesystem::path& file, const ExportTerms& terms) {
  auto temporary = file;
  temporary += std::filesystem::path::string_type(".").append(std::to_string(::getpid())).append(".tmp");
  try {
    auto module = network.scripted(model);
    if (!terms.standardisation.empty()) module = behind(terms.standardisation, network, module);
    auto beside = torch::jit::ExtraFilesMap();
    if (!terms.about.empty()) beside[kAboutFile] = terms.about;
    module.save(temporary.string(), beside);
  } catch (const std::exception& error) {
    auto ignored = std::error_code();
    std::filesystem::remove(temporary, ignored);
    return fail(ec::io_failed, "cannot write the model to '" + temporary.string() + "': " + text_of(error));
  }
  auto error = std::error_code();
  std::filesystem::rename(temporary, file, error);
  if (error)
    return fail(ec::io_failed,
                "cannot rename '" + temporary.string() + "' to '" + file.string() + "': " + error.message());
  return {};
}

}  // namespace fl
