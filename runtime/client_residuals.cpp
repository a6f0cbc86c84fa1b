#include "runtime/client_residuals.hpp"

#include <spdlog/spdlog.h>

#include <utility>
#include <vector>

#include "messages/file_source.hpp"
#include "runtime/array_file.hpp"
#include "runtime/atomic_file.hpp"

namespace fl {

namespace {

Result<void> write_residual(const std::filesystem::path& file, TaskId task, const Residual& residual) {
  auto envelope = Envelope();
  envelope.content = ResidualInfo{task, residual.sent_norm, residual.idle_deltas};
  auto arrays = std::vector<NamedArray>();
  const auto add = [&](const char* name, const Parameters& array) {
    if (array.size() == 0) return;
    envelope.layout_fingerprint = array.layout()->fingerprint();
    arrays.push_back({name, array.values()});
  };
  add("unsent", residual.unsent);
  add("velocity", residual.velocity);
  auto error = std::error_code();
  std::filesystem::create_directories(file.parent_path(), error);
  return write_arrays(file, std::move(envelope), arrays);
}

struct Stored {
  TaskId task = 0;
  ResidualPtr residual;
};

/// Without a layout only the task is read.
Result<Stored> read_residual(const std::filesystem::path& path, const LayoutPtr& layout) {
  const auto file = FileSource::open(path);
  if (!file) return tl::unexpected(file.error());
  const auto header = decode_header(**file);
  if (!header) return tl::unexpected(header.error());
  const auto* info = std::get_if<ResidualInfo>(&header->envelope.content);
  if (info == nullptr) return fail(ec::corrupt_data, path.string() + " is no residual");
  if (!layout) return Stored{info->task, nullptr};
  const auto& envelope = header->envelope;
  if (!envelope.sections.empty() && envelope.layout_fingerprint != layout->fingerprint())
    return fail(ec::layout_mismatch, "it is of another model");
  auto unsent = read_array(**file, *header, "unsent", false, layout);
  if (!unsent) return tl::unexpected(unsent.error());
  auto velocity = read_array(**file, *header, "velocity", false, layout);
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
