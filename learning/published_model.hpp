// One published version as it is shared: an immutable blob that sessions read in parts and local clients use as it is.
#pragma once

#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "learning/parameters.hpp"
#include "messages/envelope.hpp"

namespace fl {

/// The encoded form of a version (header, then the parameters) without a second copy of the numbers. When too many
/// old versions are still being downloaded, `spill` moves one to a file, so memory does not grow with the clients.
class PublishedModel final : public ByteSource {
 public:
  PublishedModel(Version version, ParametersPtr parameters);

  Version version() const { return version_; }
  const LayoutPtr& layout() const { return layout_; }

  std::uint64_t size() const override { return header_.size() + layout_->size_bytes(); }
  Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override;

  /// XXH3-64 of the whole blob; computed at the first call.
  Result<std::uint64_t> hash() const;

  /// The parameters; after a spill, read back from the file.
  Result<ParametersPtr> parameters() const;

  /// Writes the parameters to an unnamed file in `folder` and lets go of them. Readers go on undisturbed.
  Result<void> spill(const std::filesystem::path& folder) const;
  bool in_memory() const;

 private:
  Version version_;
  LayoutPtr layout_;
  std::vector<std::byte> header_;
  mutable std::mutex mutex_;
  mutable ParametersPtr parameters_;  ///< null after a spill
  mutable ByteSourcePtr file_;        ///< the parameters' bytes after a spill
  mutable std::optional<std::uint64_t> hash_;
};

using PublishedModelPtr = std::shared_ptr<const PublishedModel>;

/// Decodes a downloaded model blob. Fails with `corrupt_data`, `unsupported_format` or `layout_mismatch`.
Result<Parameters> decode_model(const ByteSource& blob, const LayoutPtr& layout);

/// Remembers which versions are still in use and spills all but the newest `keep_in_memory`.
class PublishedModels {
 public:
  /// With an empty folder nothing is spilled.
  PublishedModels(std::filesystem::path folder, std::size_t keep_in_memory);

  PublishedModelPtr publish(Version version, ParametersPtr parameters);

 private:
  std::filesystem::path folder_;
  std::size_t keep_in_memory_;
  std::list<std::weak_ptr<const PublishedModel>> alive_;  ///< oldest first
};

}  // namespace fl
