// An update on its way to the server: put together from its chunks by a session.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>

#include "messages/bytes.hpp"
#include "messages/envelope.hpp"
#include "messages/file_source.hpp"
#include "messages/types.hpp"

namespace fl {

/// Where the upload of a task is put together, so that it is found again after a restart.
std::filesystem::path upload_file(const std::string& folder, TaskId task, std::uint64_t hash);

/// Of what was begun for this task in earlier sessions, only this upload can go on.
void remove_other_parts(const std::string& folder, const UploadOffer& offer);

/// An upload in progress: written to a file (or memory) in order, hashed on the way.
class Upload {
 public:
  /// Into memory without a folder; into an unnamed file of the folder, or into one whose name follows from
  /// the offer, which may hold the first part from before a restart.
  static Result<Upload> begin(const UploadOffer& offer, const std::string& folder, bool named);

  const UploadOffer& offer() const { return offer_; }
  std::uint64_t received() const { return received_; }

  /// The next part. A part that was received before is ignored; a gap fails with `corrupt_data`.
  Result<void> add(const Chunk& chunk);

  /// Gives the upload up: its bytes will not be asked for again.
  void discard() &&;

  /// After the last part; fails with `corrupt_data` when bytes are missing or the hash does not hold, with
  /// `unavailable` when that may be due to bytes from before a restart: they are to be sent again.
  Result<ByteSourcePtr> finish() &&;

 private:
  Upload(const UploadOffer& offer, std::variant<FileSink, AlignedBuffer> target);
  Result<void> take_over();

  UploadOffer offer_;
  std::variant<FileSink, AlignedBuffer> target_;
  std::filesystem::path file_;  ///< empty: it has no name
  std::uint64_t received_ = 0;
  bool to_be_kept_ = false;  ///< on disk, if the update is accepted
  bool taken_over_ = false;  ///< some bytes are from before a restart
  Hash hash_;
};

}  // namespace fl
