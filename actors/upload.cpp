#include "actors/upload.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>
#include <vector>

namespace fl {

namespace {

/// What is read at once of an upload from before a restart.
constexpr std::size_t kPart_bytes = 1u << 20;

}  // namespace

std::filesystem::path upload_file(const std::string& folder, TaskId task, std::uint64_t hash) {
  auto digits = std::array<char, 24>();
  std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(hash));
  return std::filesystem::path(folder) / ("task-" + std::to_string(task) + "-" + digits.data() + ".part");
}

void remove_other_parts(const std::string& folder, const UploadOffer& offer) {
  const auto kept = upload_file(folder, offer.task, offer.hash);
  const auto prefix = "task-" + std::to_string(offer.task) + "-";
  auto error = std::error_code();
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.path().filename().string().starts_with(prefix) && entry.path() != kept)
      std::filesystem::remove(entry.path(), error);
}

Upload::Upload(const UploadOffer& offer, std::variant<FileSink, AlignedBuffer> target)
    : offer_(offer), target_(std::move(target)) {}

Result<Upload> Upload::begin(const UploadOffer& offer, const std::string& folder, bool named) {
  if (folder.empty()) return Upload(offer, AlignedBuffer(offer.size_bytes));
  auto sink = named ? FileSink::open_named(upload_file(folder, offer.task, offer.hash), offer.size_bytes)
                    : FileSink::create(folder, offer.size_bytes);
  if (!sink) return tl::unexpected(sink.error());
  auto upload = Upload(offer, std::move(*sink));
  upload.to_be_kept_ = named;
  if (named) upload.file_ = upload_file(folder, offer.task, offer.hash);
  if (named)
    if (auto ok = upload.take_over(); !ok) return tl::unexpected(ok.error());
  return upload;
}

/// Hashes what the file holds already. More than was offered belongs to something else and is written over.
Result<void> Upload::take_over() {
  auto& sink = std::get<FileSink>(target_);
  const auto length = sink.length();
  if (!length) return tl::unexpected(length.error());
  if (*length > offer_.size_bytes) return {};
  auto buffer = std::vector<std::byte>(std::min<std::uint64_t>(*length, kPart_bytes));
  while (received_ < *length) {
    const auto part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), *length - received_));
    if (auto ok = sink.read(received_, part); !ok) return ok;
    hash_.add(part);
    received_ += part.size();
    taken_over_ = true;
  }
  return {};
}

Result<void> Upload::add(const Chunk& chunk) {
  const auto bytes = chunk.bytes.view();
  if (chunk.offset < received_) return {};
  if (chunk.offset > received_ || bytes.size() > offer_.size_bytes - received_)
    return fail(ec::corrupt_data, "a chunk at byte " + std::to_string(chunk.offset) + " where " +
                                      std::to_string(received_) + " was expected");
  if (auto* sink = std::get_if<FileSink>(&target_)) {
    if (auto ok = sink->write(chunk.offset, bytes); !ok) return ok;
    if (to_be_kept_) sink->start_flush();
  } else {
    copy_bytes(bytes, std::get<AlignedBuffer>(target_).data() + chunk.offset);
  }
  hash_.add(bytes);
  received_ += bytes.size();
  return {};
}

void Upload::discard() && {
  auto error = std::error_code();
  if (!file_.empty()) std::filesystem::remove(file_, error);
}

Result<ByteSourcePtr> Upload::finish() && {
  if (received_ != offer_.size_bytes)
    return fail(ec::corrupt_data, "the upload ended at byte " + std::to_string(received_) + " of " +
                                      std::to_string(offer_.size_bytes));
  if (hash_.value() != offer_.hash) {
    if (!taken_over_) return fail(ec::corrupt_data, "the update was damaged on its way");
    // A power cut may leave anything in a file that was not flushed.
    if (auto ok = std::get<FileSink>(target_).clear(); !ok) return tl::unexpected(ok.error());
    return fail(ec::unavailable, "what was received before the restart is damaged; it is wanted again");
  }
  if (auto* sink = std::get_if<FileSink>(&target_)) return ByteSourcePtr(std::move(*sink).finish());
  return ByteSourcePtr(std::make_shared<const MemorySource>(std::move(std::get<AlignedBuffer>(target_))));
}

}  // namespace fl
