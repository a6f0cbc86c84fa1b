#include "runtime/file_report.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "learning/compression/encoded_array.hpp"
#include "messages/envelope.hpp"
#include "messages/file_source.hpp"
#include "runtime/run_store_schema.hpp"
#include "runtime/safetensors.hpp"

namespace fl {

namespace fs = std::filesystem;

namespace {

// -- Numbers --------------------------------------------------------------------------------------

/// Of the finite values of a tensor; the others are only counted.
class ValueSummary {
 public:
  void add(double value, std::uint64_t times = 1) {
    if (!std::isfinite(value)) {
      not_finite_ += times;
      return;
    }
    low_ = finite_ > 0 ? std::min(low_, value) : value;
    high_ = finite_ > 0 ? std::max(high_, value) : value;
    finite_ += times;
    sum_ += value * static_cast<double>(times);
  }

  std::uint64_t count() const { return finite_ + not_finite_; }

  /// Adds what it found to a row.
  void report_to(Report& row) const {
    const auto any = finite_ > 0;
    row["min"] = any ? Report(low_) : Report(nullptr);
    row["max"] = any ? Report(high_) : Report(nullptr);
    row["mean"] = any ? Report(sum_ / static_cast<double>(finite_)) : Report(nullptr);
    row["not_finite"] = not_finite_;
  }

 private:
  std::uint64_t finite_ = 0;
  std::uint64_t not_finite_ = 0;
  double low_ = 0;
  double high_ = 0;
  double sum_ = 0;
};

/// The summaries of all tensors of one array. Values come in any order, mostly many of one tensor in a row.
class ArraySummary {
 public:
  explicit ArraySummary(const Layout& layout) : layout_(layout), tensors_(layout.entries().size()) {}

  void add(std::uint64_t index, float value) {
    const auto& entries = layout_.entries();
    if (index < entries[at_].offset || index - entries[at_].offset >= entries[at_].size) {
      const auto next = std::ranges::upper_bound(entries, index, {}, &LayoutEntry::offset);
      at_ = static_cast<std::size_t>(next - entries.begin()) - 1;
    }
    tensors_[at_].add(value);
  }

  /// What a sparse array left out is zero.
  void fill_with_zeros() {
    for (auto i = std::size_t{0}; i < tensors_.size(); ++i) {
      const auto missing = layout_.entries()[i].size - tensors_[i].count();
      if (missing > 0) tensors_[i].add(0, missing);
    }
  }

  Report rows() const {
    auto rows = Report::array();
    for (auto i = std::size_t{0}; i < tensors_.size(); ++i) {
      const auto& entry = layout_.entries()[i];
      auto row = Report();
      row["name"] = entry.name;
      row["kind"] = entry.kind == EntryKind::trainable ? "trainable" : "buffer";
      row["shape"] = entry.shape;
      row["values"] = entry.size;
      tensors_[i].report_to(row);
      rows.push_back(std::move(row));
    }
    return rows;
  }

 private:
  const Layout& layout_;
  std::vector<ValueSummary> tensors_;
  std::size_t at_ = 0;
};

// -- Envelopes ------------------------------------------------------------------------------------

Layout one_tensor(const std::string& name, std::uint64_t values) {
  auto layout = Layout();
  layout.add(name, {static_cast<std::int64_t>(values)});
  return layout;
}

/// The tensors of one array of a file; `layout` is taken where it fits.
Result<Report> tensors_of(const ByteSourcePtr& file, const DecodedHeader& header, const Section& section,
                          const Layout& layout) {
  const auto offset = header.payload_offset + section.offset;
  const auto damaged = [&](const Error& error) {
    return fail(error.code, "array \"" + section.name + "\" (" + std::to_string(section.size_bytes) +
                                " bytes from byte " + std::to_string(offset) + " on): " + error.text);
  };
  const auto stored = std::make_shared<const SubSource>(file, offset, section.size_bytes);
  if (section.hash != 0) {
    const auto hash = hash_of(*stored);
    if (!hash) return damaged(hash.error());
    if (*hash != section.hash) return damaged({ec::corrupt_data, "the bytes do not match their checksum"});
  }
  const auto codec = parse_codec(section.codec);
  if (!codec) return damaged({ec::unsupported_format, codec.error().text});
  const auto own = section.values == layout.size() ? Layout() : one_tensor(section.name, section.values);
  auto summary = ArraySummary(own.size() > 0 ? own : layout);
  auto visitor = ArrayVisitor();
  visitor.dense = [&](std::uint64_t first, std::span<const float> values) {
    for (const auto value : values) summary.add(first++, value);
  };
  visitor.sparse = [&](std::span<const std::uint64_t> indices, std::span<const float> values) {
    for (auto i = std::size_t{0}; i < indices.size(); ++i) summary.add(indices[i], values[i]);
  };
  if (section.values > 0)
    if (auto ok = visit_array({stored, 0, section.values, section.size_bytes, *codec}, visitor); !ok)
      return damaged(ok.error());
  summary.fill_with_zeros();
  return summary.rows();
}

void report_content(const SnapshotInfo& info, Report& report) {
  report["kind"] = "snapshot";
  report["version"] = info.version;
  report["model"] = info.model_name;
  report["strategy"] = info.strategy;
  report["seed"] = info.seed;
  report["updates_accepted"] = info.updates_accepted;
  report["next_task"] = info.next_task;
  report["updates_in_buffer"] = info.buffer.count;
  if (info.buffer.count > 0) {
    report["clients_in_buffer"] = info.buffer.clients;
    report["divisor_of_buffer"] = info.buffer.divisor;
  }
}

void report_content(const UpdateInfo& info, Report& report) {
  report["kind"] = "update";
  report["client"] = info.client;
  report["task"] = info.task;
  report["epoch"] = info.epoch;
  report["from_version"] = info.base;
  report["samples"] = info.samples;
  report["steps"] = info.steps;
  report["train_loss"] = info.train_loss;
  report["training_s"] = info.train_seconds;
  if (info.base_evaluation.samples == 0) return;
  report["base_accuracy"] = info.base_evaluation.accuracy;
  report["base_loss"] = info.base_evaluation.loss;
}

void report_content(const ModelInfo& info, Report& report) {
  report["kind"] = "model as clients download it";
  report["version"] = info.version;
}

void report_content(const ResidualInfo& info, Report& report) {
  report["kind"] = "what a client has not sent yet";
  report["task"] = info.task;
}

/// Of the run in whose folder `updates` a file lies: the tensors of its model. Empty: it lies elsewhere.
Layout layout_beside(const fs::path& update, std::uint64_t fingerprint) {
  auto error = std::error_code();
  const auto run = fs::absolute(update, error).parent_path().parent_path();
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", error)) {
    const auto file = FileSource::open(entry.path());
    const auto header = file ? decode_header(**file) : tl::unexpected(file.error());
    if (header && header->envelope.layout_fingerprint == fingerprint) return header->envelope.layout;
  }
  return {};
}

/// Compares a kept update with the ledger of the run in whose folder it lies.
Result<void> check_with_ledger(const fs::path& update, const ByteSource& bytes) {
  auto error = std::error_code();
  const auto database_file = fs::absolute(update, error).parent_path().parent_path() / kRunDatabaseName;
  if (!fs::exists(database_file, error)) return {};
  auto database = SqliteDatabase::open(database_file, SqliteDatabase::Access::read_only);
  if (!database) return {};  // of the file alone nothing is wrong
  auto expected = std::optional<std::uint64_t>();
  (void)database->run("SELECT hash FROM updates WHERE number = CAST(? AS INTEGER) AND hash IS NOT NULL",
                      {update.stem().string()}, [&](const SqlRow& row) { expected = row.count(0); });
  const auto hash = hash_of(bytes);
  if (!hash) return tl::unexpected(hash.error());
  if (expected && *expected != *hash)
    return fail(ec::corrupt_data, "its " + std::to_string(bytes.size()) +
                                      " bytes do not match the checksum that the ledger has of it (" +
                                      database_file.string() + ")");
  return {};
}

Result<Report> describe_envelope(const ByteSourcePtr& file, const fs::path& path) {
  const auto header = decode_header(*file);
  if (!header) return tl::unexpected(header.error());
  const auto& envelope = header->envelope;
  auto report = Report();
  std::visit([&](const auto& info) { report_content(info, report); }, envelope.content);
  report["layout_fingerprint"] = fmt::format("{:016x}", envelope.layout_fingerprint);
  report["size_bytes"] = file->size();
  const auto is_update = std::holds_alternative<UpdateInfo>(envelope.content);
  if (is_update)
    if (auto ok = check_with_ledger(path, *file); !ok) return tl::unexpected(ok.error());
  const auto layout = is_update ? layout_beside(path, envelope.layout_fingerprint) : envelope.layout;
  for (const auto& section : envelope.sections) {
    auto tensors = tensors_of(file, *header, section, layout);
    if (!tensors) return tl::unexpected(tensors.error());
    const auto coded = section.codec == "none" ? "" : " (" + section.codec + ")";
    report[section.name + coded] = std::move(*tensors);
  }
  return report;
}

// -- safetensors ----------------------------------------------------------------------------------

template <class Value>
void add_values(std::span<const std::byte> bytes, ValueSummary& summary) {
  for (auto i = std::size_t{0}; i + sizeof(Value) <= bytes.size(); i += sizeof(Value)) {
    auto value = Value();
    std::memcpy(&value, bytes.data() + i, sizeof value);
    summary.add(static_cast<double>(value));
  }
}

using AddValues = void (*)(std::span<const std::byte>, ValueSummary&);

/// null: the numbers of such a type are not looked at.
AddValues adder_for(const std::string& dtype) {
  if (dtype == "F32") return add_values<float>;
  if (dtype == "F64") return add_values<double>;
  if (dtype == "I8") return add_values<std::int8_t>;
  if (dtype == "U8" || dtype == "BOOL") return add_values<std::uint8_t>;
  if (dtype == "I16") return add_values<std::int16_t>;
  if (dtype == "I32") return add_values<std::int32_t>;
  if (dtype == "I64") return add_values<std::int64_t>;
  return nullptr;
}

/// Read at a time; a multiple of every type's size.
constexpr std::uint64_t kReadPart_bytes = 1 << 20;

Result<Report> describe_safetensors(const ByteSource& file) {
  const auto header = read_safetensors_header(file);
  if (!header) return tl::unexpected(header.error());
  auto report = Report();
  report["kind"] = "safetensors";
  report["size_bytes"] = file.size();
  for (const auto& [key, value] : header->metadata) report["metadata." + key] = value;
  auto rows = Report::array();
  for (const auto& tensor : header->tensors) {
    auto summary = ValueSummary();
    const auto add = adder_for(tensor.dtype);
    for (auto done = std::uint64_t{0}; add && done < tensor.size_bytes; done += kReadPart_bytes) {
      const auto part = file.part(tensor.offset + done, std::min(kReadPart_bytes, tensor.size_bytes - done));
      if (!part) return tl::unexpected(part.error());
      add(part->view(), summary);
    }
    auto row = Report();
    row["name"] = tensor.name;
    row["type"] = tensor.dtype;
    row["shape"] = tensor.shape;
    row["values"] = tensor.values;
    summary.report_to(row);
    rows.push_back(std::move(row));
  }
  report["tensors"] = std::move(rows);
  return report;
}

}  // namespace

Result<Report> describe_model_file(const fs::path& path) {
  const auto file = FileSource::open(path);
  if (!file) return tl::unexpected(file.error());
  auto beginning = std::array<std::byte, 16>();
  const auto known = std::span(beginning).first(std::min<std::uint64_t>(16, (*file)->size()));
  if (auto ok = (*file)->read(0, known); !ok) return tl::unexpected(ok.error());
  // 8 bytes of length, then JSON.
  const auto is_safetensors = path.extension() == ".safetensors" || beginning[8] == std::byte{'{'};
  const auto is_envelope = known.size() == beginning.size() && header_size(beginning).has_value();
  if (!is_envelope && !is_safetensors)
    return fail(ec::corrupt_data, path.string() +
                                      ": is no snapshot, no kept update and no safetensors file, by its "
                                      "first 16 bytes; inspect takes those, or the folder of a run");
  auto report = is_envelope ? describe_envelope(*file, path) : describe_safetensors(**file);
  if (!report) return fail(report.error().code, path.string() + ": " + report.error().text);
  return report;
}

}  // namespace fl
