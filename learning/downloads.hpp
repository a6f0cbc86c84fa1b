// How a version travels to a client, given what the client holds: not at all, as a change of that, or whole.
//
//   client holds                       download.codec   what travels
//   this version                       any              nothing ("not modified")
//   one of the window                  xor              its bits XORed away, losslessly compressed
//   one of the window                  a lossy codec    the changes since, as every client applies them
//   anything else                      none             the parameters as they are
//                                      any other        the parameters, losslessly compressed
//
// What a client holds is known by version and hash of the bits, so a change is never applied to anything
// else, and a client that ends up with another hash than the task says asks for the whole model.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "learning/compression/byte_stream.hpp"
#include "learning/compression/codec.hpp"
#include "learning/published_model.hpp"

namespace fl {

/// From one version to the next, as a lossy download.codec says it.
struct VersionDelta {
  Codec codec;
  GrowingBuffer bytes;
};
using VersionDeltaPtr = std::shared_ptr<const VersionDelta>;

struct DownloadOptions {
  bool lossless = false;   ///< download.codec = "xor"
  Codec lossy = {};        ///< download.codec, if it is lossy
  std::size_t window = 8;  ///< versions that a client may be behind to get a change, ≥ 1

  bool whole_only() const { return !lossless && !lossy.is_lossy(); }
};

/// "none", "xor", or a lossy codec that error feedback makes good again. Fails with `bad_config`.
Result<DownloadOptions> parse_download_codec(const std::string& name);

/// What a client has to fetch.
struct Download {
  ByteSourcePtr blob;             ///< null: nothing, it has the version
  std::uint64_t hash = 0;         ///< XXH3-64 of the blob; 0 for the model as it is: PublishedModel::hash()
  std::uint64_t values_hash = 0;  ///< of the version's parameters

  std::uint64_t size() const { return blob ? blob->size() : 0; }
};

/// Remembers the newest versions. Thread-safe; what a blob is coded for is coded once.
class Downloads {
 public:
  explicit Downloads(DownloadOptions options = {}) : options_(options) {}

  /// A new version; `delta`: from the one before, under a lossy codec. Without it the window begins anew.
  void add(const PublishedModelPtr& model, const VersionDeltaPtr& delta);

  /// `held_hash` 0: the client holds nothing. Fails when a spilled model cannot be read.
  Result<Download> get(const PublishedModelPtr& model, Version held, std::uint64_t held_hash);

 private:
  struct Entry {
    Version version = 0;
    std::uint64_t hash = 0;
    PublishedModelPtr model;  ///< null unless lossless
    VersionDeltaPtr delta;    ///< from the entry before; null at the first
  };
  struct Cached {
    std::uint64_t from = 0;  ///< 0: the whole model
    Download download;
  };

  Result<Download> coded(const PublishedModelPtr& model, std::uint64_t hash, Version held,
                         std::uint64_t held_hash);
  Result<ByteSourcePtr> whole(const PublishedModel& model) const;
  Result<ByteSourcePtr> exact_change(const PublishedModel& model, const PublishedModel& held) const;
  ByteSourcePtr lossy_change(const PublishedModel& model, std::uint64_t hash, std::size_t from) const;
  /// Place in the window.
  std::optional<std::size_t> find(Version version, std::uint64_t hash) const;

  DownloadOptions options_;
  std::mutex mutex_;
  std::deque<Entry> window_;      ///< oldest first
  std::vector<Cached> cached_;    ///< blobs of the newest version
  std::uint64_t cached_for_ = 0;  ///< its hash
};
using DownloadsPtr = std::shared_ptr<Downloads>;

}  // namespace fl
