#include "messages/bytes.hpp"

#include <sys/mman.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <string>
#include <utility>

namespace fl {

namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kLarge_bytes = std::size_t{1} << 20;

bool is_large(std::size_t size_bytes) {
  return size_bytes >= kLarge_bytes;
}

/// Large blocks come from the system, not the heap, where models of many threads would leave holes. The
/// system clears each page at its first touch, which costs as much as a copy, so the last two freed blocks
/// are kept: the base and the update of a client, the old and the new version of a server.
class LargeBlocks {
 public:
  static LargeBlocks& instance() {
    // Never destroyed: others free their blocks at the very end.
    static auto& blocks = *new LargeBlocks();
    return blocks;
  }

  std::byte* take(std::size_t size_bytes) {
    const auto length = mapped_length(size_bytes);
    {
      const auto lock = std::lock_guard(mutex_);
      for (auto& block : kept_)
        if (block.length == length) return std::exchange(block, {}).data;
    }
    const auto mapped = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    // Advice only: without huge pages the first touch of a large model costs a page fault for every 4 KB.
    (void)::madvise(mapped, length, MADV_HUGEPAGE);
    return static_cast<std::byte*>(mapped);
  }

  void give_back(std::byte* data, std::size_t size_bytes) {
    auto oldest = Block{data, mapped_length(size_bytes)};
    {
      const auto lock = std::lock_guard(mutex_);
      for (auto& block : kept_) {
        std::swap(block, oldest);
        if (oldest.data == nullptr) return;
      }
    }
    ::munmap(oldest.data, oldest.length);
  }

 private:
  struct Block {
    std::byte* data = nullptr;
    std::size_t length = 0;
  };

  /// Whole huge pages, so that a model and an update of it, a header longer, fit the same block.
  static std::size_t mapped_length(std::size_t size_bytes) {
    constexpr auto kHugePage_bytes = std::size_t{2} << 20;
    return (size_bytes + kHugePage_bytes - 1) / kHugePage_bytes * kHugePage_bytes;
  }

  std::mutex mutex_;
  std::array<Block, 2> kept_;  ///< newest first
};

Result<void> check_range(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
  if (offset <= size && length <= size - offset) return {};
  return fail(ec::corrupt_data, "bytes " + std::to_string(offset) + " to " + std::to_string(offset + length) +
                                    " lie beyond the end at " + std::to_string(size));
}

}  // namespace

Bytes::Bytes(std::span<const std::byte> bytes) {
  auto copy = std::make_shared_for_overwrite<std::byte[]>(bytes.size());
  copy_bytes(bytes, copy.get());
  view_ = {copy.get(), bytes.size()};
  owner_ = std::move(copy);
}

Result<Bytes> Bytes::make(std::size_t size, const std::function<Result<void>(std::span<std::byte>)>& fill) {
  auto memory = std::make_shared_for_overwrite<std::byte[]>(size);
  const auto span = std::span<std::byte>(memory.get(), size);
  if (auto ok = fill(span); !ok) return tl::unexpected(ok.error());
  return Bytes(std::move(memory), span);
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
    data_ = static_cast<std::byte*>(
        std::aligned_alloc(kAlignment, (size_bytes + kAlignment - 1) / kAlignment * kAlignment));
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
