#include "runtime/client_residuals.hpp"

#include <spdlog/spdlog.h>

#include <vector>

#include "messages/envelope.hpp"
#include "messages/file_source.hpp"
#include "runtime/atomic_file.hpp"

namespace fl {

namespace {

Result<void> write_residual(const std::filesystem::path& file, TaskId task, const Residual& residual) {
  auto envelope = Envelope();
  envelope.content = ResidualInfo{task, residual.sent_norm, residual.idle_deltas};
  auto arrays = std::vector<std::span<const float>>();
  const auto add = [&](const char* name, const Parameters& array) {
    if (array.size() == 0) return;
    envelope.layout_fingerprint = array.layout()->fingerprint();
    auto section = Section();
    section.name = name;
    section.values = array.size();
    section.size_bytes = array.values().size_bytes();
    section.hash = hash_of(std::as_bytes(array.values()));
    envelope.sections.push_back(std::move(section));
    arrays.push_back(array.values());
  };
  add("unsent", residual.unsent);
  add("velocity", residual.velocity);
  place_sections(envelope.sections);

  auto error = std::error_code();
  std::filesystem::create_directories(file.parent_path(), error);
  auto output = AtomicFile::create(file);
  if (!output) return tl::unexpected(output.error());
  if (auto ok = output->write(encode_header(envelope)); !ok) return ok;
  auto written = std::uint64_t{0};
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const auto padding = std::vector<std::byte>(envelope.sections[i].offset - written);
    if (auto ok = output->write(padding); !ok) return ok;
    if (auto ok = output->write(std::as_bytes(arrays[i])); !ok) return ok;
    written = envelope.sections[i].offset + envelope.sections[i].size_bytes;
  }
  return output->commit();
}

struct Stored {
  TaskId task = 0;
  ResidualPtr residual;
};

Result<Parameters> read_array(const ByteSource& file, const DecodedHeader& header, std::string_view name,
                              const LayoutPtr& layout) {
  const auto* section = header.envelope.find(name);
  if (section == nullptr) return Parameters();
  if (section->codec != "none" || section->values != layout->size() ||
      header.envelope.layout_fingerprint != layout->fingerprint())
    return fail(ec::layout_mismatch, "it is of another model");
  auto array = Parameters(layout);
  const auto bytes = std::as_writable_bytes(array.values());
  if (auto ok = file.read(header.payload_offset + section->offset, bytes); !ok)
    return tl::unexpected(ok.error());
  if (hash_of(bytes) != section->hash) return fail(ec::corrupt_data, "it does not match its checksum");
  return array;
}

/// Without a layout only the task is read.
Result<Stored> read_residual(const std::filesystem::path& path, const LayoutPtr& layout) {
  const auto file = FileSource::open(path);
  if (!file) return tl::unexpected(file.error());
  const auto header = decode_header(**file);
  if (!header) return tl::unexpected(header.error());
  const auto* info = std::get_if<ResidualInfo>(&header->envelope.content);
  if (info == nullptr) return fail(ec::corrupt_data, path.string() + " is no residual");
  if (!layout) return Stored{info->task, nullptr};
  auto unsent = read_array(**file, *header, "unsent", layout);
  if (!unsent) return tl::unexpected(unsent.error());
  auto velocity = read_array(**file, *header, "velocity", layout);
  if (!velocity) return tl::unexpected(velocity.error());
  auto residual = std::make_shared<Residual>();
  residual->unsent = std::move(*unsent);
  residual->velocity = std::move(*velocity);
  residual->sent_norm = info->sent_norm;
  residual->idle_deltas = info->idle_deltas;
  return Stored{info->task, std::move(residual)};
}

bool is_there(const std::filesystem::path& file) {
  auto error = std::error_code();
  return std::filesystem::exists(file, error);
}

}  // namespace

void FileResiduals::select(const std::string& place) {
  if (place == place_) return;
  place_ = place;
  current_.reset();
  proposal_.reset();
  // Of other runs nothing is needed any more.
  auto error = std::error_code();
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const auto ending = entry.path().extension();
    if ((ending == ".residual" || ending == ".proposed") && entry.path().stem() != place_)
      remove_file(entry.path());
  }
  if (!is_there(proposed_file())) return;
  const auto stored = read_residual(proposed_file(), nullptr);
  if (stored) proposal_ = Proposal{stored->task, nullptr};
}

Result<ResidualPtr> FileResiduals::current(const LayoutPtr& layout) {
  if (current_) return *current_;
  current_ = ResidualPtr();
  if (!is_there(settled_file())) return *current_;
  auto stored = read_residual(settled_file(), layout);
  if (!stored)
    return fail(stored.error().code, settled_file().string() + " cannot be used: " + stored.error().text);
  current_ = std::move(stored->residual);
  return *current_;
}

Result<void> FileResiduals::propose(TaskId task, const ResidualPtr& after) {
  proposal_ = Proposal{task, after};
  return write_residual(proposed_file(), task, *after);
}

Result<ResidualPtr> FileResiduals::proposal(TaskId task, const LayoutPtr& layout) {
  if (!proposal_ || proposal_->task != task) return nullptr;
  if (!proposal_->residual) {
    auto stored = read_residual(proposed_file(), layout);
    if (!stored) return tl::unexpected(stored.error());
    proposal_->residual = std::move(stored->residual);
  }
  return proposal_->residual;
}

Result<void> FileResiduals::accept(TaskId task) {
  if (!proposal_ || proposal_->task != task) return {};
  if (proposal_->residual)
    current_ = std::move(proposal_->residual);
  else
    current_.reset();  // to be read
  proposal_.reset();
  auto error = std::error_code();
  std::filesystem::rename(proposed_file(), settled_file(), error);
  if (error) return fail(ec::io_failed, settled_file().string() + " cannot be written: " + error.message());
  return flush_folder(folder_);
}

Result<void> FileResiduals::replace(const ResidualPtr& residual) {
  current_ = residual;
  proposal_.reset();
  if (!residual) {
    remove_file(settled_file());
    remove_file(proposed_file());
    return {};
  }
  // The new one first: in between, both are there, and the proposal is of a task that is over.
  auto written = write_residual(settled_file(), 0, *residual);
  remove_file(proposed_file());
  return written;
}

}  // namespace fl
