// The MNIST digits, from the four original IDX files.
#pragma once

#include <filesystem>

#include "learning/data/dataset.hpp"

namespace fl {

/// Reads train-images-idx3-ubyte, train-labels-idx1-ubyte and their t10k- counterparts from `dir`, each also
/// as .gz or spelled with a dot before "idx": byte samples [1, 28, 28], 10 classes. Any drop-in set of that
/// form will do, such as Fashion-MNIST. Fails with `bad_data`.
Result<TrainTest> load_mnist(const std::filesystem::path& dir);

}  // namespace fl
