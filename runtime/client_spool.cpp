#include "runtime/client_spool.hpp"

#include <spdlog/spdlog.h>

#include "messages/envelope.hpp"
#include "runtime/atomic_file.hpp"

namespace fl {

namespace {

Result<TrainedUpdate> read_update(const std::filesystem::path& path) {
  const auto file = FileSource::open(path);
  if (!file) return tl::unexpected(file.error());
  auto bytes = AlignedBuffer((*file)->size());
  if (auto ok = (*file)->read(0, bytes.span()); !ok) return tl::unexpected(ok.error());
  auto blob = std::make_shared<const MemorySource>(std::move(bytes));
  const auto decoded = decode_header(*blob);
  if (!decoded) return tl::unexpected(decoded.error());
  const auto* info = std::get_if<UpdateInfo>(&decoded->envelope.content);
  if (info == nullptr) return fail(ec::corrupt_data, path.string() + " is not an update");
  return TrainedUpdate{*info, std::move(blob)};
}

}  // namespace

Result<std::shared_ptr<FileSpool>> FileSpool::open(const std::filesystem::path& folder, bool always) {
  auto spool = std::shared_ptr<FileSpool>(new FileSpool(folder / "spool", always));
  auto error = std::error_code();
  std::filesystem::create_directories(spool->folder_, error);
  if (error) return fail(ec::io_failed, "cannot create " + spool->folder_.string() + ": " + error.message());
  return spool;
}

Result<void> FileSpool::save(const std::string& run_id, const TrainedUpdate& update) {
  return write_atomically(file_of(run_id), *update.blob);
}

std::optional<TrainedUpdate> FileSpool::load(const std::string& run_id) {
  const auto path = file_of(run_id);
  auto error = std::error_code();
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  auto update = read_update(path);
  if (update) return std::move(*update);
  spdlog::warn("the spooled update {} cannot be used: {}", path.string(), to_string(update.error()));
  remove_file(path);
  return std::nullopt;
}

void FileSpool::clear() {
  auto error = std::error_code();
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error))
    if (entry.path().extension() == ".update") remove_file(entry.path());
}

}  // namespace fl
