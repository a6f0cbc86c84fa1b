#include "messages/bytes.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <new>
#include <string>
#include <utility>

namespace fl {

namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kLarge_bytes = std::size_t{64} << 10;
constexpr std::size_t kHugePage_bytes = std::size_t{2} << 20;

bool is_large(std::size_t size_bytes) {
  return size_bytes >= kLarge_bytes;
}

std::size_t round_up(std::size_t size_bytes, std::size_t unit_bytes) {
  return (size_bytes + unit_bytes - 1) / unit_bytes * unit_bytes;
}

/// Freed blocks, newest first, to be used again.
class KeptBlocks {
 public:
  struct Block {
    std::byte* data = nullptr;
    std::size_t length = 0;
  };

  /// At least so many stay, more while they are not too large together.
  KeptBlocks(std::size_t at_least, std::size_t most_bytes) : at_least_(at_least), most_bytes_(most_bytes) {}

  std::byte* take(std::size_t length) {
    const auto lock = std::lock_guard(mutex_);
    const auto found = std::ranges::find(blocks_, length, &Block::length);
    if (found == blocks_.end()) return nullptr;
    auto* const data = found->data;
    blocks_.erase(found);
    bytes_ -= length;
    return data;
  }

  /// Returns the block that has no place any more.
  Block give_back(Block block) {
    const auto lock = std::lock_guard(mutex_);
    blocks_.push_front(block);
    bytes_ += block.length;
    if (blocks_.size() <= at_least_ || bytes_ <= most_bytes_) return {};
    const auto oldest = blocks_.back();
    blocks_.pop_back();
    bytes_ -= oldest.length;
    return oldest;
  }

 private:
  std::mutex mutex_;
  std::deque<Block> blocks_;
  std::size_t bytes_ = 0;
  std::size_t at_least_;
  std::size_t most_bytes_;
};

/// Blocks of models and chunks come from the system, not the heap: there the small things that live longer,
/// such as CAF's timeouts of requests, would settle in the holes they leave, and a process with a hundred
/// clients grew by hundreds of megabytes a second. The system clears each page at its first touch, which
/// costs as much as a copy, so some freed blocks are kept: two of models (the base and the update of a
/// client, the old and the new version of a server), and chunks.
class LargeBlocks {
 public:
  static LargeBlocks& instance() {
    // Never destroyed: others free their blocks at the very end.
    static auto& blocks = *new LargeBlocks();
    return blocks;
  }

  std::byte* take(std::size_t size_bytes) {
    const auto length = mapped_length(size_bytes);
    if (auto* const kept = kept_of(length).take(length)) return kept;
    const auto mapped = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    // Advice only: without huge pages the first touch of a large model costs a page fault for every 4 KB.
    if (length >= kHugePage_bytes) (void)::madvise(mapped, length, MADV_HUGEPAGE);
    return static_cast<std::byte*>(mapped);
  }

  void give_back(std::byte* data, std::size_t size_bytes) {
    const auto length = mapped_length(size_bytes);
    const auto oldest = kept_of(length).give_back({data, length});
    if (oldest.data != nullptr) ::munmap(oldest.data, oldest.length);
  }

 private:
  /// Whole huge pages, or whole large parts, so that a model and an update of it, a header longer, fit the
  /// same block.
  static std::size_t mapped_length(std::size_t size_bytes) {
    return round_up(size_bytes, size_bytes < kHugePage_bytes ? kLarge_bytes : kHugePage_bytes);
  }

  KeptBlocks& kept_of(std::size_t length) { return length < kHugePage_bytes ? small_ : models_; }

  KeptBlocks small_{2, std::size_t{32} << 20};
  KeptBlocks models_{2, 0};
};

/// Memory of bytes that travel, with whom it belongs to.
std::pair<std::shared_ptr<const void>, std::span<std::byte>> shared_memory(std::size_t size_bytes) {
  auto buffer = std::make_shared<AlignedBuffer>(size_bytes);
  const auto span = buffer->span();
  return {std::move(buffer), span};
}

Result<void> check_range(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
  if (offset <= size && length <= size - offset) return {};
  return fail(ec::corrupt_data, "bytes " + std::to_string(offset) + " to " + std::to_string(offset + length) +
                                    " lie beyond the end at " + std::to_string(size));
}

}  // namespace

Bytes::Bytes(std::span<const std::byte> bytes) {
  auto [owner, copy] = shared_memory(bytes.size());
  copy_bytes(bytes, copy.data());
  owner_ = std::move(owner);
  view_ = copy;
}

Result<Bytes> Bytes::make(std::size_t size, const std::function<Result<void>(std::span<std::byte>)>& fill) {
  auto [owner, memory] = shared_memory(size);
  if (auto ok = fill(memory); !ok) return tl::unexpected(ok.error());
  return Bytes(std::move(owner), memory);
}

Result<Bytes> ByteSource::part(std::uint64_t offset, std::uint64_t length) const {
  if (auto ok = check_range(offset, length, size()); !ok) return tl::unexpected(ok.error());
  if (const auto all = view(); !all.empty())
    if (auto self = weak_from_this().lock()) return Bytes(std::move(self), all.subspan(offset, length));
  return Bytes::make(length, [&](std::span<std::byte> out) { return read(offset, out); });
}

AlignedBuffer::AlignedBuffer(std::size_t size_bytes) : size_(size_bytes) {
  if (size_bytes == 0) return;
  if (is_large(size_bytes)) {
    data_ = LargeBlocks::instance().take(size_bytes);
  } else {
    data_ = static_cast<std::byte*>(std::aligned_alloc(kAlignment, round_up(size_bytes, kAlignment)));
    if (data_ == nullptr) throw std::bad_alloc();
  }
}

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

AlignedBuffer::~AlignedBuffer() {
  if (data_ != nullptr && is_large(size_))
    LargeBlocks::instance().give_back(data_, size_);
  else
    std::free(data_);
}

Result<void> MemorySource::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (auto ok = check_range(offset, out.size(), size()); !ok) return ok;
  copy_bytes(buffer_.span().subspan(offset, out.size()), out.data());
  return {};
}

Result<void> BorrowedSource::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (auto ok = check_range(offset, out.size(), size()); !ok) return ok;
  copy_bytes(bytes_.subspan(offset, out.size()), out.data());
  return {};
}

SubSource::SubSource(ByteSourcePtr whole, std::uint64_t offset, std::uint64_t size)
    : whole_(std::move(whole)), offset_(offset), size_(size) {}

Result<void> SubSource::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (auto ok = check_range(offset, out.size(), size_); !ok) return ok;
  return whole_->read(offset_ + offset, out);
}

std::span<const std::byte> SubSource::view() const {
  const auto all = whole_->view();
  if (all.size() < offset_ + size_) return {};
  return all.subspan(offset_, size_);
}

}  // namespace fl
