// What a client has not sent yet, in its folder: DIR/PLACE.residual, and DIR/PLACE.proposed until the update
// that leaves it is acknowledged. Written whole or not at all, and flushed, so that a crash at any moment
// leaves the residual from before the update or the one from after it, whichever belongs to the update's
// fate.
//
//   trained    PLACE.proposed (task t)      then the spool takes the update of task t
//   accepted   PLACE.proposed → PLACE.residual, then the spool is cleared
//   refused    PLACE.residual with all of it, PLACE.proposed removed, then the spool is cleared
//   crashed before the spool had the update: PLACE.proposed is of a task that nobody will answer; it is
//   written over
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "learning/compression/residual.hpp"

namespace fl {

class FileResiduals final : public ResidualStore {
 public:
  /// Makes the folder when there is something to write.
  explicit FileResiduals(std::filesystem::path folder) : folder_(std::move(folder)) {}

  void select(const std::string& place) override;
  Result<ResidualPtr> current(const LayoutPtr& layout) override;
  Result<void> propose(TaskId task, const ResidualPtr& after) override;
  Result<ResidualPtr> proposal(TaskId task, const LayoutPtr& layout) override;
  Result<void> accept(TaskId task) override;
  Result<void> replace(const ResidualPtr& residual) override;

 private:
  std::filesystem::path settled_file() const { return folder_ / (place_ + ".residual"); }
  std::filesystem::path proposed_file() const { return folder_ / (place_ + ".proposed"); }

  std::filesystem::path folder_;
  std::string place_;
  std::optional<ResidualPtr> current_;  ///< none: not read yet
  struct Proposal {
    TaskId task = 0;
    ResidualPtr residual;  ///< null: not read yet
  };
  std::optional<Proposal> proposal_;
};

}  // namespace fl
