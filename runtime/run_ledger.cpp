#include "runtime/run_ledger.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <map>
#include <set>

#include "messages/envelope.hpp"
#include "messages/file_source.hpp"
#include "runtime/atomic_file.hpp"
#include "runtime/run_store_schema.hpp"

namespace fl {

namespace {

constexpr std::string_view kUpdateEnding = ".update";

/// The number in the name of a kept update; 0: it is none.
std::uint64_t number_of(const std::filesystem::path& file) {
  if (file.extension() != kUpdateEnding) return 0;
  const auto digits = file.stem().string();
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos || digits.size() > 18)
    return 0;
  return std::stoull(digits);
}

LedgerUpdate update_of_row(const SqlRow& row) {
  auto update = LedgerUpdate();
  update.number = row.count(0);
  auto& record = update.record;
  record.task = row.count(1);
  record.epoch = static_cast<Epoch>(row.integer(2));
  record.client = static_cast<ClientId>(row.integer(3));
  record.base = row.count(4);
  record.folded_into = row.count(5);
  record.samples = row.count(6);
  record.staleness = row.count(7);
  record.weight = row.number(8);
  update.divisor = row.number(9);
  record.bytes = row.count(10);
  update.hash = row.count(11);
  record.owner = static_cast<ClientId>(row.integer(12));
  record.work = row.count(13);
  return update;
}

constexpr const char* kUpdateColumns =
    "number, task, epoch, client, base, folded_into, samples, staleness, weight, divisor, bytes, hash, "
    "coalesce(owner, client), coalesce(work, task)";

Result<std::vector<LedgerUpdate>> select_updates(SqliteDatabase& database, const std::string& rest) {
  auto updates = std::vector<LedgerUpdate>();
  auto ok = database.run("SELECT " + std::string(kUpdateColumns) + " FROM updates WHERE " + rest, {},
                         [&](const SqlRow& row) { updates.push_back(update_of_row(row)); });
  if (!ok) return tl::unexpected(ok.error());
  return updates;
}

}  // namespace

RunLedger::RunLedger(std::filesystem::path folder, LedgerOptions options)
    : folder_(std::move(folder)), options_(options) {}

std::filesystem::path RunLedger::file_of(std::uint64_t number) const {
  auto digits = std::array<char, 32>();
  std::snprintf(digits.data(), digits.size(), "%010llu", static_cast<unsigned long long>(number));
  return folder_ / (digits.data() + std::string(kUpdateEnding));
}

Result<void> RunLedger::begin(SqliteDatabase& database) {
  // Leases are remembered for the ledger's sake: without it nobody takes them up.
  if (!options_.keep_updates) return database.run("DELETE FROM leases");
  auto error = std::error_code();
  std::filesystem::create_directories(folder_, error);
  if (error) return fail(ec::io_failed, "cannot create " + folder_.string() + ": " + error.message());
  auto kept = std::map<std::uint64_t, std::uint64_t>();
  auto ok = database.run("SELECT number, bytes FROM updates WHERE kept = 1", {},
                         [&](const SqlRow& row) { kept[row.count(0)] = row.count(1); });
  if (!ok) return ok;
  for (const auto& [number, bytes] : kept) kept_bytes_ += bytes;
  if (!kept.empty()) counted_ = kept.rbegin()->first;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    // Bytes whose decision was not committed, or that were covered before the crash.
    if (const auto number = number_of(entry.path()); number == 0 || kept.contains(number)) continue;
    remove_file(entry.path());
  }
  return {};
}

/// A commit may be repeated.
std::uint64_t RunLedger::new_bytes(const LedgerBatch& batch) const {
  auto bytes = std::uint64_t{0};
  for (const auto& update : batch.accepted)
    if (update.number > counted_) bytes += update.blob->size();
  return bytes;
}

Result<void> RunLedger::keep_files(const LedgerBatch& batch) {
  if (!options_.keep_updates || batch.accepted.empty()) return {};
  const auto bytes = kept_bytes_ + new_bytes(batch);
  if (options_.max_bytes > 0 && bytes > options_.max_bytes)
    return fail(ec::store_full,
                "kept updates would take " + std::to_string(bytes) + " bytes, more than store.max_bytes = " +
                    std::to_string(options_.max_bytes) + "; stop the run, and raise it with --resume");
  for (const auto& update : batch.accepted) {
    const auto path = file_of(update.number);
    const auto file = std::dynamic_pointer_cast<const FileSource>(update.blob);
    if (file && file->keep_as(path)) continue;
    if (auto ok = write_atomically(path, *update.blob); !ok) return ok;
  }
  return flush_folder(folder_);
}

Result<void> RunLedger::insert(SqliteDatabase& database, const LedgerBatch& batch) {
  for (const auto& update : batch.refused) {
    if (auto ok = insert_update(database, update); !ok) return ok;
  }
  for (const auto& update : batch.accepted) {
    auto entry = std::optional<LedgerEntry>();
    if (options_.keep_updates) {
      const auto hash = update.hash != 0 ? Result<std::uint64_t>(update.hash) : hash_of(*update.blob);
      if (!hash) return tl::unexpected(hash.error());
      entry = LedgerEntry{update.number, update.divisor, *hash};
    }
    if (auto ok = insert_update(database, update.record, entry); !ok) return ok;
    if (!options_.keep_updates) continue;
    for (const auto& [client, task] : {std::pair(update.record.client, update.record.task),
                                       std::pair(update.record.owner, update.record.work)}) {
      if (auto ok = database.run("DELETE FROM leases WHERE client = ? AND task = ?",
                                 {std::int64_t{client}, signed_of(task)});
          !ok)
        return ok;
    }
  }
  if (!options_.keep_updates) return {};
  for (const auto& closing : batch.closings) {
    if (auto ok = database.run("INSERT INTO closings (version, last_number, divisor) VALUES (?, ?, ?) "
                               "ON CONFLICT (version) DO NOTHING",
                               {signed_of(closing.version), signed_of(closing.last_number), closing.divisor});
        !ok)
      return ok;
  }
  return {};
}

void RunLedger::count(const LedgerBatch& batch) {
  if (!options_.keep_updates) return;
  kept_bytes_ += new_bytes(batch);
  if (!batch.accepted.empty()) counted_ = std::max(counted_, batch.accepted.back().number);
}

Result<void> RunLedger::read(SqliteDatabase& database, Version after, const LedgerReader& reader) const {
  auto updates = select_updates(
      database, "number IS NOT NULL AND folded_into > " + std::to_string(after) + " ORDER BY number");
  if (!updates) return tl::unexpected(updates.error());
  auto closings = std::vector<LedgerClosing>();
  auto ok =
      database.run("SELECT version, last_number, divisor FROM closings WHERE version > ? ORDER BY version",
                   {signed_of(after)}, [&](const SqlRow& row) {
                     closings.push_back({row.count(0), row.count(1), row.number(2)});
                   });
  if (!ok) return ok;
  auto closing = closings.begin();
  // A version may hold nothing but updates from before there was a ledger.
  const auto close_before = [&](std::uint64_t number) -> Result<void> {
    for (; closing != closings.end() && closing->last_number < number; ++closing) {
      if (auto done = reader.on_closing(*closing); !done) return done;
    }
    return {};
  };
  for (auto& update : *updates) {
    if (ok = close_before(update.number); !ok) return ok;
    auto file = FileSource::open(file_of(update.number));
    if (!file)
      return fail(ec::corrupt_data, "update " + std::to_string(update.number) +
                                        " of the ledger has lost its bytes: " + file.error().text);
    update.blob = *file;
    const auto hash = hash_of(*update.blob);
    if (!hash || *hash != update.hash)
      return fail(ec::corrupt_data,
                  file_of(update.number).string() + " is damaged: its checksum does not hold");
    if (ok = reader.on_update(update); !ok) return ok;
  }
  return close_before(std::numeric_limits<std::uint64_t>::max());
}

Result<std::vector<UpdateRecord>> RunLedger::newest_accepted(SqliteDatabase& database) const {
  auto newest = select_updates(
      database,
      "number IN (SELECT max(number) FROM updates GROUP BY client UNION SELECT max(number) FROM "
      "updates GROUP BY coalesce(owner, client)) ORDER BY number");
  if (!newest) return tl::unexpected(newest.error());
  auto records = std::vector<UpdateRecord>();
  for (const auto& update : *newest) records.push_back(update.record);
  return records;
}

Result<std::vector<std::filesystem::path>> RunLedger::release(SqliteDatabase& database, Version covered) {
  auto files = std::vector<std::filesystem::path>();
  if (!options_.keep_updates || options_.keep_covered) return files;
  auto ok =
      database.run("UPDATE updates SET kept = 0 WHERE kept = 1 AND folded_into <= ? RETURNING number, bytes",
                   {signed_of(covered)}, [&](const SqlRow& row) {
                     files.push_back(file_of(row.count(0)));
                     kept_bytes_ -= std::min(kept_bytes_, row.count(1));
                   });
  if (!ok) return tl::unexpected(ok.error());
  return files;
}

Result<std::vector<VersionRecord>> RunLedger::unsaved_versions(SqliteDatabase& database,
                                                               const RunTotals& before) const {
  auto versions = std::vector<VersionRecord>();
  auto totals = before;
  auto ok = database.run(
      "SELECT c.version, count(*), sum(u.samples * u.train_loss) / sum(u.samples), avg(u.staleness), "
      "sum(u.staleness), max(u.staleness), sum(u.bytes), max(u.number) FROM closings c JOIN updates u ON "
      "u.folded_into = c.version AND u.number IS NOT NULL WHERE c.version > (SELECT coalesce(max(version), "
      "0) FROM versions) GROUP BY c.version ORDER BY c.version",
      {}, [&](const SqlRow& row) {
        auto version = VersionRecord();
        version.version = row.count(0);
        version.time_s = before.wall_seconds;
        version.updates = row.count(1);
        version.train_loss = row.optional_number(2).value_or(0);
        version.staleness_mean = row.number(3);
        totals.staleness_sum += row.number(4);
        totals.staleness_max = std::max(totals.staleness_max, row.count(5));
        totals.bytes_up += row.count(6);
        totals.updates_accepted = row.count(7);
        version.totals = totals;
        versions.push_back(version);
      });
  if (!ok) return tl::unexpected(ok.error());
  return versions;
}

}  // namespace fl
