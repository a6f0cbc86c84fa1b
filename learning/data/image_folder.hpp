// Folders of images, one for each class: cats/1.png, dogs/2.jpg. PNG and JPEG.
#pragma once

#include <filesystem>

#include "learning/data/samples.hpp"

namespace fl {

/// Classes are the names of the folders, sorted; height and width are those of all images, and they have one
/// channel where all are grey, else three. Fails with `bad_data`.
Result<DataSchema> find_image_schema(const std::filesystem::path& folder);

/// Adds the images as bytes [C, H, W], class by class, in the order of their names. Without `with_target` the
/// folder may also hold images directly. Grey and colour are converted to what the schema says. Fails with
/// `bad_data`, naming the files: of another size, damaged, or of a class that the federation does not know.
/// `names`: where the files' paths go, in the order of the samples; may be null.
Result<void> read_image_samples(const std::filesystem::path& folder, const DataSchema& schema,
                                bool with_target, Samples& samples,
                                std::vector<std::string>* names = nullptr);

}  // namespace fl
