// A model.pt by itself, to predict with: no run, no trainer, no configuration. This header includes no torch.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "learning/data/dataset.hpp"
#include "messages/errors.hpp"

namespace fl {

class Predictor {
 public:
  virtual ~Predictor() = default;

  /// What ExportTerms::about said when the file was written; empty: it was not written by us.
  virtual const std::string& about() const = 0;

  /// The model's outputs for all samples, [N, outputs], before softmax or sigmoid. Fails with `bad_data`
  /// where the model does not take them.
  virtual Result<std::vector<float>> outputs(const Dataset& data) = 0;
};

/// Fails with `bad_data` where the file cannot be read as TorchScript.
Result<std::unique_ptr<Predictor>> load_predictor(const std::filesystem::path& file);

}  // namespace fl
