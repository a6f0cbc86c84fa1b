#include "runtime/run_history.hpp"

#include <algorithm>
#include <cmath>

#include "learning/aggregation/strategy.hpp"
#include "runtime/config.hpp"
#include "runtime/run_store_schema.hpp"

namespace fl {

double RunHistory::best_accuracy() const {
  auto best = -1.0;
  for (const auto& version : versions) best = std::max(best, version.accuracy.value_or(-1));
  return best;
}

const RunHistory::VersionPoint* RunHistory::reached(double accuracy) const {
  const auto found = std::ranges::find_if(versions, [&](const VersionPoint& version) {
    return version.accuracy && *version.accuracy >= accuracy;
  });
  return found == versions.end() ? nullptr : &*found;
}

std::vector<std::uint64_t> RunHistory::contributions() const {
  auto counts = std::vector<std::uint64_t>(clients);
  for (const auto& decision : decisions)
    if (decision.accepted && decision.client < counts.size()) ++counts[decision.client];
  return counts;
}

Result<RunHistory> read_history(const std::filesystem::path& folder) {
  auto error = std::error_code();
  const auto file = folder / kRunDatabaseName;
  if (!std::filesystem::exists(file, error))
    return fail(ec::bad_config, folder.string() + " holds no run (no " + kRunDatabaseName + ")");
  const auto config = load_config({{folder / "config.toml"}, {}});
  if (!config) return tl::unexpected(config.error());
  auto database = SqliteDatabase::open(file, SqliteDatabase::Access::read_only);
  if (!database) return tl::unexpected(database.error());
  auto history = RunHistory();
  history.name = std::filesystem::weakly_canonical(folder, error).filename().string();
  history.strategy = to_string(config->strategy.name);
  history.clients = config->clients.count;
  auto ok = for_each_version(*database, "ORDER BY version", [&](const VersionRecord& version) {
    history.virtual_time = history.virtual_time || version.virtual_s.has_value();
    history.versions.push_back(
        {version.virtual_s.value_or(version.time_s), static_cast<double>(version.totals.updates_accepted),
         static_cast<double>(version.totals.bytes_up + version.totals.bytes_down), version.eval_accuracy});
  });
  if (!ok) return tl::unexpected(ok.error());
  // Older runs do not know how long a task took beside training.
  const auto has_total = has_column(*database, "updates", "total_s");
  if (!has_total) return tl::unexpected(has_total.error());
  ok = database->run(std::string("SELECT client, time_s, ") +
                         (*has_total ? "coalesce(total_s, train_seconds)" : "train_seconds") +
                         ", staleness, decision FROM updates ORDER BY sequence",
                     {}, [&](const SqlRow& row) {
                       const auto to = row.number(1);
                       history.decisions.push_back({static_cast<ClientId>(row.count(0)), to - row.number(2),
                                                    to, row.count(3), row.text(4) == "none"});
                     });
  if (!ok) return tl::unexpected(ok.error());
  return history;
}

}  // namespace fl
