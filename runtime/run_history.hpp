// What happened in a run, read from its folder for a report.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "messages/errors.hpp"
#include "messages/ids.hpp"

namespace fl {

struct RunHistory {
  struct VersionPoint {
    double time_s = 0;  ///< of the run: virtual where its clock was
    double updates = 0;
    double bytes = 0;  ///< both ways
    std::optional<double> accuracy;
  };
  /// A decision on an update.
  struct Decision {
    ClientId client = 0;
    double from_s = 0;  ///< when its task was given
    double to_s = 0;
    std::uint64_t staleness = 0;
    bool accepted = true;
  };

  std::string name;  ///< of the folder
  std::string strategy;
  std::uint32_t clients = 0;
  bool virtual_time = false;
  std::vector<VersionPoint> versions;  ///< rising
  std::vector<Decision> decisions;     ///< in their order

  double best_accuracy() const;
  /// The first version with at least this accuracy; null: none.
  const VersionPoint* reached(double accuracy) const;
  /// Accepted updates of each client, [clients].
  std::vector<std::uint64_t> contributions() const;
};

/// Fails with `bad_config` when the folder holds no run, or as SQLite does.
Result<RunHistory> read_history(const std::filesystem::path& folder);

}  // namespace fl
