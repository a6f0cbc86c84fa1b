// One published version as it is shared: an immutable blob that sessions read in parts and local clients use
// as it is.
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

/// The encoded form of a version (header, then the parameters) without a second copy of the numbers. When too
/// many old versions are still being downloaded, `spill` moves one to a file, so memory does not grow with
/// the clients.
class PublishedModel final : public ByteSource {
 public:
  PublishedModel(Version version, ParametersPtr parameters);

  Version version() const { return version_; }
  const LayoutPtr& layout() const { return layout_; }

  std::uint64_t size() const override { return header_.size() + layout_->size_bytes(); }
  Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override;
  Result<Bytes> part(std::uint64_t offset, std::uint64_t length) const override;

  /// XXH3-64 of the whole blob; computed at the first call.
  Result<std::uint64_t> hash() const;

  /// XXH3-64 of the parameters alone; computed at the first call.
  Result<std::uint64_t> values_hash() const;

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
  mutable std::optional<std::uint64_t> values_hash_;
};

using PublishedModelPtr = std::shared_ptr<const PublishedModel>;

/// Takes in a model blob part by part, in order. A model as it is goes straight to where its numbers will be
/// used: no second copy. A coded one is kept until it is whole.
class ModelReceiver {
 public:
  /// `size` and `hash` (XXH3-64; 0: not given) of the blob as the task gives them.
  ModelReceiver(LayoutPtr layout, std::uint64_t size, std::uint64_t hash);

  /// What was announced of the blob.
  std::uint64_t size() const { return size_; }
  std::uint64_t hash() const { return expected_hash_; }

  /// Bytes taken in so far: the offset of the next part.
  std::uint64_t received() const { return received_; }
  bool complete() const { return received_ == size_; }

  /// Fails with `corrupt_data`, `unsupported_format`, or `layout_mismatch` when the model is another than the
  /// client's.
  Result<void> add(std::span<const std::byte> part);

  /// Whether enough has come to say how the model is coded.
  bool begun() const { return parameters_.has_value() || blob_.size() > 0; }

  /// Whether the blob changes what the client holds; known when it has begun.
  bool changes_held() const { return changes_held_; }

  /// After the last part; `held`: the client's model, if any. Fails with `corrupt_data` when the hash does
  /// not hold, or what is coded is damaged or changes something that is not held.
  Result<ParametersPtr> finish(const ParametersPtr& held = nullptr);

 private:
  Result<void> read_header();
  Result<void> begin_whole(const DecodedHeader& header);
  Result<ParametersPtr> decoded(const ParametersPtr& held) const;

  LayoutPtr layout_;
  std::uint64_t size_;
  std::uint64_t expected_hash_;
  std::uint64_t received_ = 0;
  Hash hash_;
  std::vector<std::byte> head_;  ///< the first bytes, until the header is whole
  std::optional<Parameters> parameters_;
  std::uint64_t payload_offset_ = 0;
  AlignedBuffer blob_;  ///< of a coded model
  DecodedHeader header_;
  bool changes_held_ = false;
};

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
