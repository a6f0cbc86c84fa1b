// A client's finished update in its folder: DIR/spool/RUN_ID.update, the bytes as they are sent.
#pragma once

#include <filesystem>

#include "actors/options.hpp"

namespace fl {

class FileSpool final : public ClientSpool {
 public:
  /// Makes DIR/spool. `always`: also for servers that do not keep what they acknowledge (client.spool).
  static Result<std::shared_ptr<FileSpool>> open(const std::filesystem::path& folder, bool always);

  bool always() const override { return always_; }
  Result<void> save(const std::string& run_id, const TrainedUpdate& update) override;
  std::optional<TrainedUpdate> load(const std::string& run_id) override;
  void clear() override;

 private:
  FileSpool(std::filesystem::path folder, bool always) : folder_(std::move(folder)), always_(always) {}
  std::filesystem::path file_of(const std::string& run_id) const { return folder_ / (run_id + ".update"); }

  std::filesystem::path folder_;
  bool always_;
};

}  // namespace fl
