#include "runtime/metrics_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "messages/durable_step.hpp"
#include "messages/file_source.hpp"
#include "runtime/write_all.hpp"

namespace fl {

namespace {

using Json = nlohmann::ordered_json;

/// Lines of a replacement that are written at a time.
constexpr std::size_t kWritten_bytes = 64 << 10;

/// Numbers that are not finite become null as well: JSON has none.
Json optional_number(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

}  // namespace

nlohmann::ordered_json metrics_json(const VersionRecord& version) {
  auto line = Json();
  line["version"] = version.version;
  line["time_s"] = version.time_s;
  line["virtual_s"] = optional_number(version.virtual_s);
  line["updates"] = version.updates;
  line["train_loss"] = version.updates > 0 ? Json(version.train_loss) : Json(nullptr);
  line["eval_loss"] = optional_number(version.eval_loss);
  line["eval_accuracy"] = optional_number(version.eval_accuracy);
  line["staleness_mean"] = version.updates > 0 ? Json(version.staleness_mean) : Json(nullptr);
  if (!version.eval_metrics.empty()) line["eval_metrics"] = version.eval_metrics;
  line["bytes_up"] = version.totals.bytes_up;
  line["bytes_down"] = version.totals.bytes_down;
  return line;
}

std::string metrics_line(const VersionRecord& version) {
  return metrics_json(version).dump();
}

Result<void> MetricsFile::append(const VersionRecord& version) const {
  if (auto ok = durable_step("write", file_); !ok) return ok;
  constexpr auto mode = S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH;
  const auto output = FileDescriptor(::open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, mode));
  if (!output) return tl::unexpected(system_error("cannot open", file_));
  if (!write_all(output.get(), metrics_line(version) + "\n"))
    return tl::unexpected(system_error("cannot write", file_));
  return {};
}

Result<MetricsFile::Replacement> MetricsFile::replace() const {
  auto file = AtomicFile::create(file_);
  if (!file) return tl::unexpected(file.error());
  return Replacement(std::move(*file));
}

Result<void> MetricsFile::Replacement::add(const VersionRecord& version) {
  lines_ += metrics_line(version) + "\n";
  return lines_.size() < kWritten_bytes ? Result<void>() : write();
}

Result<void> MetricsFile::Replacement::write() {
  return file_.write(std::exchange(lines_, {}));
}

Result<void> MetricsFile::Replacement::commit() {
  if (auto ok = write(); !ok) return ok;
  return file_.commit();
}

}  // namespace fl
