#include "learning/compression/byte_stream.hpp"

#include <zstd.h>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace fl {

namespace {

/// Of the highest level that is written, 19.
constexpr int kMaxWindowLog = 23;
constexpr std::size_t kInput_bytes = std::size_t{128} << 10;

}  // namespace

void GrowingBuffer::reserve(std::size_t size_bytes) {
  if (size_bytes <= buffer_.size()) return;
  auto larger = AlignedBuffer(size_bytes);
  copy_bytes(span(), larger.data());
  buffer_ = std::move(larger);
}

std::byte* GrowingBuffer::extend(std::size_t count) {
  if (buffer_.size() - size_ < count) reserve(std::max(2 * buffer_.size(), size_ + count));
  size_ += count;
  return buffer_.data() + (size_ - count);
}

struct ZstdWriter::Context {
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> zstd{ZSTD_createCCtx(), ZSTD_freeCCtx};
};

ZstdWriter::ZstdWriter(std::uint32_t level) : context_(std::make_unique<Context>()) {
  ZSTD_CCtx_setParameter(context_->zstd.get(), ZSTD_c_compressionLevel, static_cast<int>(level));
}

ZstdWriter::~ZstdWriter() = default;

/// In parts: a bound on the whole frame would be more memory than the bytes themselves.
void ZstdWriter::write(std::span<const std::byte> bytes, bool end) {
  auto input = ZSTD_inBuffer{bytes.data(), bytes.size(), 0};
  for (auto left = std::size_t{1}; left > 0 || input.pos < input.size;) {
    const auto room = ZSTD_CStreamOutSize();
    const auto begin = out_.size();
    auto output = ZSTD_outBuffer{out_.extend(room), room, 0};
    left = ZSTD_compressStream2(context_->zstd.get(), &output, &input, end ? ZSTD_e_end : ZSTD_e_continue);
    if (ZSTD_isError(left) != 0) throw std::runtime_error(std::string("zstd: ") + ZSTD_getErrorName(left));
    out_.shrink(begin + output.pos);
    if (!end) left = 0;
  }
}

void ZstdWriter::add(std::span<const std::byte> bytes) {
  write(bytes, false);
}

GrowingBuffer ZstdWriter::finish() && {
  write({}, true);
  return std::move(out_);
}

GrowingBuffer zstd_compressed(std::span<const std::byte> bytes, std::uint32_t level) {
  auto frame = ZstdWriter(level);
  frame.add(bytes);
  return std::move(frame).finish();
}

struct SequentialReader::Frame {
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context{ZSTD_createDCtx(), ZSTD_freeDCtx};
  std::vector<std::byte> input;
  std::size_t begin = 0;  ///< of what was not inflated yet, in `input`
  bool ended = false;
};

SequentialReader::SequentialReader(const ByteSource& source, std::uint64_t offset, std::uint64_t size,
                                   bool zstd)
    : source_(source), offset_(offset), left_(size), view_(source.view()) {
  if (!zstd) return;
  frame_ = std::make_unique<Frame>();
  ZSTD_DCtx_setParameter(frame_->context.get(), ZSTD_d_windowLogMax, kMaxWindowLog);
}

SequentialReader::~SequentialReader() = default;

Result<std::span<const std::byte>> SequentialReader::next(std::size_t count) {
  const auto too_few = [] { return fail(ec::corrupt_data, "the coded values end too soon"); };
  if (!frame_) {
    if (count > left_) return too_few();
    if (!view_.empty()) {
      const auto bytes = view_.subspan(offset_, count);
      offset_ += count;
      left_ -= count;
      return bytes;
    }
  }
  if (buffer_.size() < count) buffer_.resize(count);
  const auto out = std::span(buffer_).first(count);
  if (!frame_) {
    if (auto ok = read_raw(out); !ok) return tl::unexpected(ok.error());
    return out;
  }
  const auto inflated = inflate(out);
  if (!inflated) return tl::unexpected(inflated.error());
  if (*inflated < count) return too_few();
  return out;
}

Result<void> SequentialReader::finish() {
  const auto too_many = [] { return fail(ec::corrupt_data, "there are more bytes than the values need"); };
  if (!frame_) return left_ > 0 ? too_many() : Result<void>();
  auto more = std::byte();
  const auto inflated = inflate({&more, 1});
  if (!inflated) return tl::unexpected(inflated.error());
  if (*inflated > 0 || left_ > 0 || frame_->begin < frame_->input.size()) return too_many();
  if (!frame_->ended) return fail(ec::corrupt_data, "the compressed values end too soon");
  return {};
}

Result<void> SequentialReader::read_raw(std::span<std::byte> out) {
  if (auto ok = source_.read(offset_, out); !ok) return ok;
  offset_ += out.size();
  left_ -= out.size();
  return {};
}

/// As many bytes as there are, at most out.size().
Result<std::size_t> SequentialReader::inflate(std::span<std::byte> out) {
  auto done = std::size_t{0};
  while (done < out.size() && !frame_->ended) {
    if (frame_->begin == frame_->input.size() && left_ > 0) {
      frame_->input.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kInput_bytes, left_)));
      frame_->begin = 0;
      if (auto ok = read_raw(frame_->input); !ok) return tl::unexpected(ok.error());
    }
    auto input = ZSTD_inBuffer{frame_->input.data(), frame_->input.size(), frame_->begin};
    auto output = ZSTD_outBuffer{out.data(), out.size(), done};
    const auto hint = ZSTD_decompressStream(frame_->context.get(), &output, &input);
    if (ZSTD_isError(hint) != 0)
      return fail(ec::corrupt_data,
                  std::string("the compressed values are damaged: ") + ZSTD_getErrorName(hint));
    const auto stuck = output.pos == done && input.pos == frame_->begin;
    frame_->begin = input.pos;
    done = output.pos;
    frame_->ended = hint == 0;
    if (stuck && left_ == 0) break;
  }
  return done;
}

}  // namespace fl
