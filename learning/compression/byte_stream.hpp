// Bytes written and read in order, through zstd where the codec says so.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "messages/bytes.hpp"
#include "messages/errors.hpp"

namespace fl {

/// Bytes that are added at the end, in memory that is not cleared first.
class GrowingBuffer {
 public:
  void reserve(std::size_t size_bytes);

  /// Room for `count` more bytes, to be written to; valid until the next call.
  std::byte* extend(std::size_t count);
  /// Takes bytes at the end back.
  void shrink(std::size_t size_bytes) { size_ = size_bytes; }
  void add(std::span<const std::byte> bytes) { copy_bytes(bytes, extend(bytes.size())); }

  std::size_t size() const { return size_; }
  std::byte* data() { return buffer_.data(); }
  std::span<const std::byte> span() const { return buffer_.span().first(size_); }

 private:
  AlignedBuffer buffer_;
  std::size_t size_ = 0;
};

/// A zstd frame (RFC 8878), written as its bytes come.
class ZstdWriter {
 public:
  /// `level` in [1, 19].
  explicit ZstdWriter(std::uint32_t level);
  ~ZstdWriter();
  ZstdWriter(const ZstdWriter&) = delete;
  ZstdWriter& operator=(const ZstdWriter&) = delete;

  void add(std::span<const std::byte> bytes);
  GrowingBuffer finish() &&;

 private:
  struct Context;

  void write(std::span<const std::byte> bytes, bool end);

  std::unique_ptr<Context> context_;
  GrowingBuffer out_;
};

GrowingBuffer zstd_compressed(std::span<const std::byte> bytes, std::uint32_t level);

/// Reads a part of a source in order. Takes as much memory as one read asks for, and with zstd a window of at
/// most 8 MB, whatever the bytes claim.
class SequentialReader {
 public:
  /// [offset, offset + size) of `source`, as they are or as a zstd frame. The source outlives the reader.
  SequentialReader(const ByteSource& source, std::uint64_t offset, std::uint64_t size, bool zstd);
  ~SequentialReader();
  SequentialReader(const SequentialReader&) = delete;
  SequentialReader& operator=(const SequentialReader&) = delete;

  /// The next `count` bytes, valid until the next call. Fails with `corrupt_data` when there are fewer, or
  /// the frame is damaged, or like ByteSource::read.
  Result<std::span<const std::byte>> next(std::size_t count);

  /// Fails with `corrupt_data` unless everything was read.
  Result<void> finish();

 private:
  struct Frame;

  Result<void> read_raw(std::span<std::byte> out);
  Result<std::size_t> inflate(std::span<std::byte> out);

  const ByteSource& source_;
  std::uint64_t offset_;  ///< of the next byte
  std::uint64_t left_;
  std::span<const std::byte> view_;  ///< all of the source where it lies in memory
  std::vector<std::byte> buffer_;    ///< what `next` returned
  std::unique_ptr<Frame> frame_;     ///< null: no zstd
};

}  // namespace fl
