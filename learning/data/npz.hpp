// NumPy's .npz: a zip of arrays in the .npy format, versions 1 to 3 (numpy.lib.format).
#pragma once

#include <filesystem>

#include "learning/data/samples.hpp"

namespace fl {

/// The names of the arrays. Fails with `bad_data` where the file is no zip archive.
Result<std::vector<std::string>> npz_arrays(const std::filesystem::path& file);

/// From the arrays x and y, or x_train and y_train: x [N, …] of float, int or bool, y [N] of labels from 0,
/// or numbers. Unsigned bytes of images [N, H, W] or [N, C, H, W] are pixels, and [N, H, W] becomes [1, H,
/// W]. With `labels` there are as many classes as the largest label says. Fails with `bad_data`.
Result<DataSchema> find_npz_schema(const std::filesystem::path& file, bool standardise, bool labels);

/// Adds the samples of `half`; of a file without x_train and x_test, x is both. Fails with `bad_data`, which
/// names the array and the row that does not fit; y is read only `with_target`.
Result<void> read_npz_samples(const std::filesystem::path& file, const DataSchema& schema, Half half,
                              bool with_target, Samples& samples);

}  // namespace fl
