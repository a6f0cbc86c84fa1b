#include "runtime/snapshot_file.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "messages/file_source.hpp"
#include "runtime/array_file.hpp"
#include "runtime/atomic_file.hpp"

namespace fl {

namespace {

constexpr std::string_view kPrefix = "version-";
constexpr std::string_view kSnapshotEnding = ".snapshot";

/// Those that the state has.
std::vector<NamedArray> arrays_of(const AggregationState& state) {
  auto arrays = std::vector<NamedArray>{{"parameters", state.model->values()}};
  if (state.optimizer_m.size() > 0) arrays.push_back({"optimizer.m", state.optimizer_m.values()});
  if (state.optimizer_v.size() > 0) arrays.push_back({"optimizer.v", state.optimizer_v.values()});
  if (state.buffer.count > 0) arrays.push_back({"buffer", state.buffer_sum.values()});
  if (state.residual.size() > 0) arrays.push_back({"download.residual", state.residual.values()});
  return arrays;
}

}  // namespace

// -- Writing --------------------------------------------------------------------------------------

Result<void> write_snapshot(const std::filesystem::path& file, const AggregationState& state,
                            TaskId next_task, const SnapshotIdentity& identity) {
  const auto& layout = *state.model->layout();
  auto envelope = Envelope();
  envelope.layout_fingerprint = layout.fingerprint();
  envelope.layout = layout;
  envelope.content = SnapshotInfo{state.version,     state.updates_accepted, next_task,   identity.model,
                                  identity.strategy, identity.seed,          state.buffer};
  return write_arrays(file, std::move(envelope), arrays_of(state));
}

// -- Reading --------------------------------------------------------------------------------------

namespace {

/// Whether a whole snapshot is one of this run.
Result<void> check_identity(const Envelope& envelope, const SnapshotInfo& info, const LayoutPtr& layout,
                            const SnapshotIdentity& identity) {
  const auto other = [](const std::string& what, const std::string& theirs, const std::string& ours) {
    return fail(ec::run_folder_refused,
                "it is of another run: its " + what + " is " + theirs + ", this run's is " + ours +
                    "; resume with the settings of that run, or choose another --out");
  };
  if (info.model_name != identity.model) return other("model.name", info.model_name, identity.model);
  if (envelope.layout_fingerprint != layout->fingerprint() || envelope.layout != *layout)
    return other("model \"" + info.model_name + "\"",
                 std::to_string(envelope.layout.size()) + " parameters in " +
                     std::to_string(envelope.layout.entries().size()) + " tensors",
                 std::to_string(layout->size()) + " in " + std::to_string(layout->entries().size()) +
                     ", or the tensors have other names or shapes");
  if (info.strategy != identity.strategy) return other("strategy.name", info.strategy, identity.strategy);
  if (info.seed != identity.seed)
    return other("run.seed", std::to_string(info.seed), std::to_string(identity.seed));
  return {};
}

/// The header of a snapshot, and its own part in it.
struct SnapshotHeader {
  DecodedHeader header;
  SnapshotInfo info;
};

Result<SnapshotHeader> read_snapshot_header(const ByteSource& file) {
  auto header = decode_header(file);
  if (!header) {
    if (header.error().code != ec::unsupported_format) return tl::unexpected(header.error());
    return fail(ec::run_folder_refused, header.error().text + "; resume with the version that wrote it");
  }
  const auto* info = std::get_if<SnapshotInfo>(&header->envelope.content);
  if (!info) return fail(ec::corrupt_data, "it is no snapshot");
  const auto copy = *info;
  return SnapshotHeader{std::move(*header), copy};
}

Result<StoredSnapshot> read_state(const ByteSource& file, const SnapshotHeader& of, const LayoutPtr& layout) {
  const auto& info = of.info;
  auto snapshot = StoredSnapshot();
  auto& state = snapshot.state;
  const auto read = [&](std::string_view name, bool required) {
    return read_array(file, of.header, name, required, layout);
  };
  auto model = read("parameters", true);
  auto m = read("optimizer.m", false);
  auto v = read("optimizer.v", false);
  auto buffer = read("buffer", info.buffer.count > 0);
  auto residual = read("download.residual", false);
  for (const auto* array : {&model, &m, &v, &buffer, &residual}) {
    if (!*array) return tl::unexpected(array->error());
  }
  state.model = std::make_shared<const Parameters>(std::move(*model));
  state.optimizer_m = std::move(*m);
  state.optimizer_v = std::move(*v);
  state.buffer_sum = std::move(*buffer);
  state.residual = std::move(*residual);
  state.version = info.version;
  state.updates_accepted = info.updates_accepted;
  state.buffer = info.buffer;
  snapshot.next_task = info.next_task;
  return snapshot;
}

/// What `read` makes of the file; failures name it.
template <class Read>
std::invoke_result_t<Read, const ByteSource&> read_named(const std::filesystem::path& file, Read read) {
  const auto source = FileSource::open(file);
  if (!source) return tl::unexpected(source.error());
  auto snapshot = read(**source);
  if (!snapshot)
    return fail(snapshot.error().code, "snapshot " + file.string() + ": " + snapshot.error().text);
  return snapshot;
}

}  // namespace

Result<StoredSnapshot> read_snapshot(const std::filesystem::path& file, const LayoutPtr& layout,
                                     const SnapshotIdentity& identity) {
  return read_named(file, [&](const ByteSource& source) -> Result<StoredSnapshot> {
    const auto header = read_snapshot_header(source);
    if (!header) return tl::unexpected(header.error());
    if (auto ok = check_identity(header->header.envelope, header->info, layout, identity); !ok)
      return tl::unexpected(ok.error());
    return read_state(source, *header, layout);
  });
}

Result<IdentifiedSnapshot> read_snapshot_of_any_run(const std::filesystem::path& file) {
  return read_named(file, [](const ByteSource& source) -> Result<IdentifiedSnapshot> {
    const auto header = read_snapshot_header(source);
    if (!header) return tl::unexpected(header.error());
    const auto layout = std::make_shared<const Layout>(header->header.envelope.layout);
    auto snapshot = read_state(source, *header, layout);
    if (!snapshot) return tl::unexpected(snapshot.error());
    const auto& info = header->info;
    return IdentifiedSnapshot{std::move(*snapshot), {info.model_name, info.strategy, info.seed}};
  });
}

// -- The folder -----------------------------------------------------------------------------------

SnapshotFolder::SnapshotFolder(std::filesystem::path folder, SnapshotIdentity identity, std::uint32_t keep)
    : folder_(std::move(folder)), identity_(std::move(identity)), keep_(std::max(keep, std::uint32_t{1})) {}

std::filesystem::path SnapshotFolder::file_of(Version version) const {
  auto number = std::array<char, 32>();
  std::snprintf(number.data(), number.size(), "%08llu", static_cast<unsigned long long>(version));
  return folder_ / (std::string(kPrefix) + number.data() + std::string(kSnapshotEnding));
}

namespace {

/// 12 for "version-00000012.snapshot"; none for other names.
std::optional<Version> version_of(const std::string& name) {
  if (!name.starts_with(kPrefix) || !name.ends_with(kSnapshotEnding)) return std::nullopt;
  const auto digits =
      std::string_view(name).substr(kPrefix.size(), name.size() - kPrefix.size() - kSnapshotEnding.size());
  auto version = Version{0};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), version);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return version;
}

}  // namespace

std::vector<Version> SnapshotFolder::versions() const {
  auto error = std::error_code();
  auto found = std::vector<Version>();
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    if (const auto version = version_of(entry.path().filename().string())) found.push_back(*version);
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<std::filesystem::path> SnapshotFolder::save(const AggregationState& state, TaskId next_task) {
  auto error = std::error_code();
  std::filesystem::create_directories(folder_, error);
  if (error) return fail(ec::io_failed, "cannot create " + folder_.string() + ": " + error.message());
  const auto file = file_of(state.version);
  if (auto ok = write_snapshot(file, state, next_task, identity_); !ok) return tl::unexpected(ok.error());
  const auto all = versions();
  for (std::size_t i = 0; i + keep_ < all.size(); ++i) {
    // The one just written stays, whatever numbers lie about.
    if (all[i] != state.version) remove_file(file_of(all[i]));
  }
  return file;
}

Result<std::optional<StoredSnapshot>> SnapshotFolder::load(const LayoutPtr& layout) {
  auto error = std::error_code();
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    if (entry.path().extension() == kTemporaryEnding) remove_file(entry.path());
  }
  auto all = versions();
  std::reverse(all.begin(), all.end());
  for (const auto version : all) {
    const auto file = file_of(version);
    auto snapshot = read_snapshot(file, layout, identity_);
    if (snapshot) return std::move(*snapshot);
    if (snapshot.error().code == ec::run_folder_refused) return tl::unexpected(snapshot.error());
    const auto set_aside = file.string() + ".damaged";
    spdlog::warn("{}; it is kept as {}, and the snapshot before it is used", snapshot.error().text,
                 set_aside);
    std::filesystem::rename(file, set_aside, error);
  }
  return std::nullopt;
}

Result<void> SnapshotFolder::remove_above(Version version) {
  for (const auto later : versions()) {
    auto error = std::error_code();
    if (later > version) std::filesystem::remove(file_of(later), error);
    if (error)
      return fail(ec::io_failed, "cannot remove " + file_of(later).string() + ": " + error.message());
  }
  return {};
}

}  // namespace fl
