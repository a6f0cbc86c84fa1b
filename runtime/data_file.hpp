// DIR/data.json: what the clients' own data look like in this run, and how their inputs are standardised.
#pragma once

#include <filesystem>
#include <optional>

#include "learning/data/schema.hpp"
#include "learning/data/standardisation.hpp"

namespace fl {

struct DataFile {
  DataSchema schema;
  Standardisation standardisation;  ///< empty: not known yet, or none
};

/// None when the file is not there. Fails with `corrupt_data`.
Result<std::optional<DataFile>> read_data_file(const std::filesystem::path& folder);

/// Whole or not at all, and on disk when it returns. Fails with `io_failed` or `store_full`.
Result<void> write_data_file(const std::filesystem::path& folder, const DataFile& data);

}  // namespace fl
