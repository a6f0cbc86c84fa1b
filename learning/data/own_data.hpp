// A federation's own data: tables, arrays, images, text. Each client has its file; a simulation has a folder
// with a file for each client, or one file that is divided.
#pragma once

#include <filesystem>

#include "learning/data/samples.hpp"

namespace fl {

/// Whether `name` (data.name) is data that a client has for itself, never to be divided among the clients of
/// a network.
bool is_own_data(std::string_view name);

/// What the data that all clients have alike look like: mnist, synthetic_digits, synthetic_logistic.
DataSchema shared_schema(const DatasetOptions& options);

/// The schema in `options.schema_file`; else what `options.file`, or else `options.test_file`, says.
/// `labels`: the model predicts classes, not numbers. Fails with `bad_data` or `bad_config` (no file was
/// given).
Result<DataSchema> find_schema(const DatasetOptions& options, bool labels);

/// What is wanted of the data.
struct OwnDataRequest {
  bool train = true;
  bool test = true;
  bool test_from_train = false;  ///< where there are no samples to test on, `test_fraction` of the others is
  /// Of a simulation: a folder's files are a client's each, and one text is cut into as many. 0: all is one
  /// client's.
  std::uint32_t clients = 0;
  std::uint64_t seed = 0;  ///< of that choice
};

/// Loads what is asked for. Without anything to test on, `test` stays null. Fails with `bad_data` or
/// `bad_config`.
Result<TrainTest> load_own_data(const DatasetOptions& options, const DataSchema& schema,
                                const OwnDataRequest& request);

/// Samples to predict the targets of.
struct UnseenData {
  DatasetPtr data;
  std::vector<std::string> names;  ///< of each: a row's number, from 1, or an image's path
  bool has_target = false;         ///< the file says what is right, too; else the targets are 0
};

/// Fails with `bad_data`.
Result<UnseenData> load_unseen(const std::filesystem::path& file, const DataSchema& schema);

/// Which inputs are numbers to be standardised, [inputs]; empty: none are.
std::vector<bool> standardised_inputs(const DataSchema& schema);

}  // namespace fl
