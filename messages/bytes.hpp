// Bytes that travel in one message, and bytes that lie somewhere to be read in parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "messages/errors.hpp"

namespace fl {

/// Copies to `to`, where as many bytes have room. Nothing may be nowhere: memcpy takes no null pointer.
inline void copy_bytes(std::span<const std::byte> from, std::byte* to) {
  if (!from.empty()) std::memcpy(to, from.data(), from.size());
}

/// Immutable bytes that travel in one message, shared by pointer within a process. Serialised in bulk from
/// where they lie; a claimed length is checked against what was received before memory is taken for it
/// (messages/type_ids.hpp).
class Bytes {
 public:
  Bytes() = default;

  /// A copy.
  explicit Bytes(std::span<const std::byte> bytes);

  /// Bytes of somebody else's, who is kept alive.
  Bytes(std::shared_ptr<const void> owner, std::span<const std::byte> bytes)
      : owner_(std::move(owner)), view_(bytes) {}

  /// New bytes; `fill` is given the uninitialised memory to write to, and its failure is passed on.
  static Result<Bytes> make(std::size_t size, const std::function<Result<void>(std::span<std::byte>)>& fill);

  std::span<const std::byte> view() const { return view_; }
  std::size_t size() const { return view_.size(); }

 private:
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> view_;
};

/// Immutable bytes of known length that can be read in any order, from memory or from a file.
class ByteSource : public std::enable_shared_from_this<ByteSource> {
 public:
  virtual ~ByteSource() = default;

  virtual std::uint64_t size() const = 0;

  /// Copies [offset, offset + out.size()) into `out`. Fails with `io_failed` or, beyond the end,
  /// `corrupt_data`.
  virtual Result<void> read(std::uint64_t offset, std::span<std::byte> out) const = 0;

  /// All bytes where they lie in memory, 64-byte aligned; empty when they do not.
  virtual std::span<const std::byte> view() const { return {}; }

  /// [offset, offset + length): shared where they lie in memory, else a copy. Fails like `read`.
  virtual Result<Bytes> part(std::uint64_t offset, std::uint64_t length) const;
};

using ByteSourcePtr = std::shared_ptr<const ByteSource>;

/// A 64-byte aligned block of memory of fixed size, uninitialised at first. Those of 64 KB and more do not
/// come from the heap; those of models ask for huge pages.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size_bytes);
  AlignedBuffer(AlignedBuffer&&) noexcept;
  AlignedBuffer& operator=(AlignedBuffer&&) noexcept;
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;
  ~AlignedBuffer();

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::span<std::byte> span() { return {data_, size_}; }
  std::span<const std::byte> span() const { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Bytes in memory.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(AlignedBuffer buffer) : buffer_(std::move(buffer)) {}
  std::uint64_t size() const override { return buffer_.size(); }
  Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override;
  std::span<const std::byte> view() const override { return buffer_.span(); }

 private:
  AlignedBuffer buffer_;
};

/// Bytes that somebody else keeps, for longer than this.
class BorrowedSource final : public ByteSource {
 public:
  explicit BorrowedSource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override;
  std::span<const std::byte> view() const override { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

/// A part of another source.
class SubSource final : public ByteSource {
 public:
  SubSource(ByteSourcePtr whole, std::uint64_t offset, std::uint64_t size);
  std::uint64_t size() const override { return size_; }
  Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override;
  std::span<const std::byte> view() const override;

 private:
  ByteSourcePtr whole_;
  std::uint64_t offset_;
  std::uint64_t size_;
};

}  // namespace fl
