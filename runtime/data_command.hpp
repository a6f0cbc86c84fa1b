// fl_actor_node data: reads the own data that the settings name as a client would, and says what they look
// like.
#pragma once

#include <filesystem>
#include <optional>

#include "runtime/command_line.hpp"
#include "runtime/config.hpp"

namespace fl {

/// Prints samples, classes, and of each input how often it is missing, its mean, deviation and range. Writes
/// the schema to `schema_file` where that is given. Done, failed (that cannot be written), or refused, with
/// what is wrong by row and column.
ExitCode check_data(const Config& config, const std::optional<std::filesystem::path>& schema_file);

}  // namespace fl
