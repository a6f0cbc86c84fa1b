#include "runtime/tensorboard_file.hpp"

#include <fcntl.h>
#include <isa-l/crc.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <utility>

#include "messages/durable_step.hpp"
#include "runtime/write_all.hpp"
#include "tensorboard.pb.h"

namespace fl {

static_assert(std::endian::native == std::endian::little, "event files are little-endian");

namespace {

/// TensorBoard takes every step as it comes, and forgets only where a session begins.
constexpr auto kFileVersion = "brain.Event:2";

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

template <class Value>
std::string bytes_of(const Value& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string record_of(tensorboard::Event event) {
  event.set_wall_time(seconds_since_1970());
  const auto data = event.SerializeAsString();
  const auto length = bytes_of(std::uint64_t{data.size()});
  return length + bytes_of(masked_crc32c(length)) + data + bytes_of(masked_crc32c(data));
}

tensorboard::Event first_event() {
  auto event = tensorboard::Event();
  event.set_file_version(kFileVersion);
  return event;
}

tensorboard::Event start_at(Version version) {
  auto event = tensorboard::Event();
  event.set_step(static_cast<std::int64_t>(version));
  event.mutable_session_log()->set_status(tensorboard::SessionLog::START);
  return event;
}

tensorboard::Event event_of(const VersionRecord& version) {
  auto event = tensorboard::Event();
  event.set_step(static_cast<std::int64_t>(version.version));
  const auto add = [&](const std::string& tag, double value) {
    auto& scalar = *event.mutable_summary()->add_value();
    scalar.set_tag(tag);
    scalar.set_simple_value(static_cast<float>(value));
  };
  if (version.eval_accuracy) add("eval/accuracy", *version.eval_accuracy);
  if (version.eval_loss) add("eval/loss", *version.eval_loss);
  for (const auto& [name, value] : version.eval_metrics) add("eval/" + name, value);
  if (version.updates > 0) {
    add("train/loss", version.train_loss);
    add("updates/staleness_mean", version.staleness_mean);
  }
  add("updates/accepted", static_cast<double>(version.totals.updates_accepted));
  add("bytes/up", static_cast<double>(version.totals.bytes_up));
  add("bytes/down", static_cast<double>(version.totals.bytes_down));
  return event;
}

std::string host_name() {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  return host;
}

}  // namespace

std::uint32_t masked_crc32c(std::string_view bytes) {
  // ISA-L leaves the inversions before and behind to the caller; it changes nothing.
  auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
  const auto crc = ~crc32_iscsi(data, static_cast<int>(bytes.size()), ~0u);
  return std::rotr(crc, 15) + 0xa282ead8u;
}

/// The earliest, where nothing was written since the last time.
void TensorboardFile::go_on_with(Version version) {
  goes_on_with_ = std::min(version, goes_on_with_.value_or(version));
}

void TensorboardFile::append(const VersionRecord& version) {
  const auto written = write(version);
  if (written || std::exchange(complained_, true)) return;
  spdlog::warn("{}; TensorBoard will lack versions", to_string(written.error()));
}

Result<void> TensorboardFile::write(const VersionRecord& version) {
  if (!file_)
    if (auto ok = create(); !ok) return ok;
  if (auto ok = durable_step("write", path_); !ok) return ok;
  auto bytes = std::string();
  if (size_ == 0) bytes += record_of(first_event());
  if (goes_on_with_) bytes += record_of(start_at(*goes_on_with_));
  bytes += record_of(event_of(version));
  if (!write_all(file_.get(), bytes)) {
    auto error = system_error("cannot write", path_);
    // No reader gets beyond half a record.
    if (::ftruncate(file_.get(), static_cast<::off_t>(size_)) != 0) error.text += "; its end is damaged";
    return tl::unexpected(error);
  }
  size_ += bytes.size();
  goes_on_with_.reset();
  return {};
}

/// Two lives may begin within one second: no file is written to twice.
Result<void> TensorboardFile::create() {
  auto error = std::error_code();
  std::filesystem::create_directories(folder_, error);
  if (error) return fail(ec::io_failed, "cannot create " + folder_.string() + ": " + error.message());
  constexpr auto mode = S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH;
  for (auto second = static_cast<std::int64_t>(seconds_since_1970()); !file_; ++second) {
    path_ = folder_ / ("events.out.tfevents." + std::to_string(second) + "." + host_name());
    if (auto ok = durable_step("create", path_); !ok) return ok;
    file_ = FileDescriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, mode));
    if (!file_ && errno != EEXIST) return tl::unexpected(system_error("cannot create", path_));
  }
  return {};
}

}  // namespace fl
