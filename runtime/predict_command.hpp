// fl_actor_node predict: what a model that was made says of samples that it has not seen.
#pragma once

#include <filesystem>
#include <optional>

#include "runtime/command_line.hpp"

namespace fl {

struct PredictRequest {
  std::filesystem::path model;  ///< model.pt, or the folder of a run that has one
  std::filesystem::path
      data;  ///< a csv, an npz, a folder of images or of idx files, as the model was trained on
  std::optional<std::filesystem::path> out;  ///< none: stdout
  bool probabilities = false;                ///< of every class
};

/// Writes a csv with a row for each sample: what it is called ("row" or "file"), "prediction", for classes
/// its "probability" (and each class's "p_CLASS"), and "target" where the data have it; then what is right is
/// counted on stderr. Done, failed (out cannot be written), or refused (model or data).
ExitCode predict(const PredictRequest& request);

}  // namespace fl
