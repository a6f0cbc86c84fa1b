#include "runtime/replay_command.hpp"
#include "runtime/data_file.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>

#include "actors/replay.hpp"
#include "runtime/run_ledger.hpp"
#include "runtime/run_store_schema.hpp"
#include "runtime/snapshot_file.hpp"
#include "runtime/summary.hpp"
#include "runtime/workbench.hpp"

namespace fl {

namespace {

ExitCode complain(ExitCode code, const std::string& text) {
  spdlog::error("{}", text);
  return code;
}

/// The newest version before which some update is not kept, or was accepted while there was no ledger: the
/// replay begins there or later. 0: all are kept.
Result<Version> newest_pruned(SqliteDatabase& database) {
  auto version = Version{0};
  auto expected = std::uint64_t{1};
  auto ok =
      database.run("SELECT number, folded_into, kept FROM updates WHERE number IS NOT NULL ORDER BY number",
                   {}, [&](const SqlRow& row) {
                     if (row.count(0) != expected) version = std::max(version, row.count(1) - 1);
                     if (row.integer(2) == 0) version = std::max(version, row.count(1));
                     expected = row.count(0) + 1;
                   });
  if (!ok) return tl::unexpected(ok.error());
  return version;
}

Result<ClientId> client_of(SqliteDatabase& database, const std::string& wanted) {
  auto found = std::optional<ClientId>();
  auto ok = database.run(
      "SELECT client FROM clients WHERE name = ? OR CAST(client AS TEXT) = ? ORDER BY name = ? DESC",
      {wanted, wanted, wanted}, [&](const SqlRow& row) {
        if (!found) found = static_cast<ClientId>(row.integer(0));
      });
  if (!ok) return tl::unexpected(ok.error());
  if (!found)
    return fail(ec::bad_config, "--without " + wanted + ": no client of this run has that name or index");
  return *found;
}

/// The state to begin from: version 0, or the oldest snapshot after which every update is kept.
Result<Aggregation> beginning(const ReplayRequest& request, const Config& config, const Trainer& trainer,
                              Version pruned) {
  if (pruned == 0)
    return Aggregation(config.strategy, config.server_optimizer,
                       std::make_shared<const Parameters>(trainer.initial_parameters(config.seed)));
  auto name = model_identity(config.trainer);
  if (!name) return tl::unexpected(name.error());
  const auto identity = SnapshotIdentity{std::move(*name), to_string(config.strategy.name), config.seed};
  const auto snapshots = SnapshotFolder(request.folder / "checkpoints", identity, 1);
  for (const auto version : snapshots.versions()) {
    if (version < pruned) continue;
    auto stored = read_snapshot(snapshots.file_of(version), trainer.layout(), identity);
    if (!stored) return tl::unexpected(stored.error());
    return Aggregation::restore(config.strategy, config.server_optimizer, std::move(stored->state));
  }
  return fail(ec::bad_config,
              "the updates before version " + std::to_string(pruned) +
                  " are no longer kept, and no snapshot after it is; store.keep_updates = true keeps "
                  "all of them");
}

}  // namespace

ExitCode replay_run(const ReplayRequest& request) {
  auto config = load_config(ConfigSources{{request.folder / "config.toml"}, {}});
  if (!config)
    return complain(ExitCode::refused, request.folder.string() + " holds no run: " + config.error().text);
  if (request.add) request.add(*config);
  if (config->store.durability != "update")
    return complain(ExitCode::refused, request.folder.string() +
                                           " has no ledger: the run was made with store.durability = \"" +
                                           config->store.durability + "\"");
  auto database = SqliteDatabase::open(request.folder / kRunDatabaseName, SqliteDatabase::Access::read_only);
  if (!database) return complain(ExitCode::refused, database.error().text);
  auto options = ReplayOptions();
  options.until = request.until;
  if (!request.without.empty()) {
    const auto client = client_of(*database, request.without);
    if (!client) return complain(ExitCode::refused, client.error().text);
    options.without.insert(*client);
  }
  const auto data = read_data_file(request.folder);
  if (!data) return complain(ExitCode::refused, data.error().text);
  const auto trainer = make_model(*config, *data ? &(*data)->schema : nullptr);
  if (!trainer) return complain(ExitCode::refused, trainer.error().text);
  const auto pruned = newest_pruned(*database);
  if (!pruned) return complain(ExitCode::failed, pruned.error().text);
  auto aggregation = beginning(request, *config, **trainer, *pruned);
  if (!aggregation) return complain(ExitCode::refused, aggregation.error().text);
  if (request.until && *request.until < aggregation->version())
    return complain(ExitCode::refused,
                    "--until " + std::to_string(*request.until) + ": the updates before version " +
                        std::to_string(aggregation->version()) +
                        " are no longer kept; store.keep_updates = true keeps all of them");
  const auto from = aggregation->version();
  const auto ledger = RunLedger(request.folder / "updates", {true, true, 0});
  const auto replayed = replay(
      *aggregation,
      [&](Version after, const LedgerReader& reader) { return ledger.read(*database, after, reader); },
      options);
  if (!replayed) return complain(ExitCode::failed, to_string(replayed.error()));
  if (request.until && aggregation->version() < *request.until)
    return complain(ExitCode::refused, "--until " + std::to_string(*request.until) +
                                           ": the ledger ends at version " +
                                           std::to_string(aggregation->version()));

  const auto sha = aggregation->model()->sha256();
  std::printf("from version %llu\nversion      %llu\nmodel_sha256 %s\n",
              static_cast<unsigned long long>(from), static_cast<unsigned long long>(aggregation->version()),
              sha.c_str());
  const auto summary = read_summary(request.folder / "summary.json");
  if (!summary || !options.without.empty() || summary->model_version != aggregation->version())
    return ExitCode::done;
  if (summary->model_sha256 != sha)
    return complain(ExitCode::failed, "summary.json has another model_sha256: " + summary->model_sha256);
  std::puts("which is the model of summary.json");
  return ExitCode::done;
}

}  // namespace fl
