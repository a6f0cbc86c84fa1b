#include "runtime/dashboard/run_view.hpp"

#include <algorithm>
#include <utility>

#include "learning/aggregation/strategy.hpp"
#include "runtime/config_schema.hpp"
#include "runtime/metrics_file.hpp"
#include "runtime/report.hpp"
#include "runtime/run_overview.hpp"
#include "runtime/run_store_schema.hpp"

namespace fl {

namespace {

/// Decisions that are read at a time.
constexpr int kRowsAtOnce = 100'000;

/// Versions that are looked through for the newest one that was evaluated.
constexpr Version kLookBack = 1'000;

/// Where the clients are is told more often than that while somebody looks.
constexpr auto kLately = std::chrono::seconds(3);

std::string_view name_of(ClientWhereabouts::State state) {
  switch (state) {
    case ClientWhereabouts::State::training:
      return "training";
    case ClientWhereabouts::State::waiting:
      return "waiting";
    case ClientWhereabouts::State::lost:
      return "lost";
  }
  return "lost";
}

/// A number that is not known is below 0.
nlohmann::ordered_json known(double value) {
  return value >= 0 ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

}  // namespace

RunView::RunView(std::filesystem::path folder, Config config, SqliteDatabase database, bool live)
    : folder_(std::move(folder)), config_(std::move(config)), database_(std::move(database)), live_(live) {}

Result<std::shared_ptr<RunView>> RunView::open(const std::filesystem::path& folder, bool live) {
  auto error = std::error_code();
  const auto file = folder / kRunDatabaseName;
  if (!std::filesystem::exists(file, error))
    return fail(ec::bad_config, folder.string() + " holds no run (no " + kRunDatabaseName + ")");
  auto config = load_config({{folder / "config.toml"}, {}});
  if (!config) return tl::unexpected(config.error());
  auto database = SqliteDatabase::open(file, SqliteDatabase::Access::read_only);
  if (!database) return tl::unexpected(database.error());
  const auto offenders = has_column(*database, "offenders", "name");
  const auto measures = has_column(*database, "measures", "client");
  if (!offenders || !measures) return tl::unexpected((offenders ? measures : offenders).error());
  auto view = std::shared_ptr<RunView>(new RunView(folder, std::move(*config), std::move(*database), live));
  view->knows_offenders_ = *offenders;
  view->knows_measures_ = *measures;
  if (auto state = view->stored_run(); !state) return tl::unexpected(state.error());
  return view;
}

void RunView::show(const RunStatus& status) {
  const auto lock = std::lock_guard(live_mutex_);
  status_ = status;
}

void RunView::show(Whereabouts whereabouts) {
  {
    const auto lock = std::lock_guard(live_mutex_);
    whereabouts_ = std::move(whereabouts);
    placed_at_ = std::chrono::steady_clock::now();
  }
  placed_.notify_all();
}

void RunView::await_whereabouts(std::chrono::milliseconds patience) {
  if (!live_) return;
  auto lock = std::unique_lock(live_mutex_);
  placed_.wait_for(lock, patience,
                   [this] { return placed_at_ && std::chrono::steady_clock::now() - *placed_at_ < kLately; });
}

void RunView::note(RunEvent event) {
  const auto lock = std::lock_guard(live_mutex_);
  event.id = ++last_event_;
  events_.push_back(std::move(event));
  if (events_.size() > kMaxEvents) events_.pop_front();
}

/// Reads the decisions that came since. After a roll-back there are fewer than were read: then all of them
/// again.
Result<void> RunView::catch_up() {
  auto newest = std::uint64_t{0};
  auto ok = database_.run("SELECT coalesce(max(sequence), 0) FROM updates", {},
                          [&](const SqlRow& row) { newest = row.count(0); });
  if (ok && newest < sequence_) {
    sequence_ = 0;
    contributions_.clear();
    staleness_.assign(kStalenessBins, 0);
    staleness_sum_ = 0;
    accepted_ = 0;
    rejected_.clear();
  }
  while (ok && sequence_ < newest) {
    ok = database_.run(
        "SELECT sequence, client, decision, staleness, time_s FROM updates WHERE sequence > ? ORDER BY "
        "sequence LIMIT ?",
        {signed_of(sequence_), std::int64_t{kRowsAtOnce}}, [&](const SqlRow& row) {
          sequence_ = row.count(0);
          if (const auto decision = row.text(2); decision != "none") {
            ++rejected_[decision];
            return;
          }
          const auto client = static_cast<std::size_t>(row.count(1));
          const auto age = row.count(3);
          if (client >= contributions_.size()) contributions_.resize(client + 1);
          auto& one = contributions_[client];
          ++one.updates;
          one.staleness += static_cast<double>(age);
          one.last_s = row.number(4);
          ++staleness_[std::min<std::size_t>(age, kStalenessBins - 1)];
          staleness_sum_ += static_cast<double>(age);
          ++accepted_;
        });
  }
  return ok;
}

// -- The run ------------------------------------------------------------------------------------------------

Result<RunView::Json> RunView::stored_run() {
  auto json = Json();
  auto quarantined = std::uint64_t{0};
  auto ok = database_.run("SELECT run_id, created_at, software_version, state FROM run", {},
                          [&](const SqlRow& row) {
                            json["run_id"] = row.text(0);
                            json["folder"] = folder_.string();
                            json["created_at"] = row.text(1);
                            json["software_version"] = "fl_actor " + row.text(2);
                            json["live"] = live_;
                            json["state"] = row.text(3);
                          });
  if (!ok) return tl::unexpected(ok.error());
  if (json.empty()) return fail(ec::bad_config, folder_.string() + " holds no run");
  if (knows_offenders_) {
    ok = database_.run("SELECT count(*) FROM offenders WHERE quarantined = 1", {},
                       [&](const SqlRow& row) { quarantined = row.count(0); });
    if (!ok) return tl::unexpected(ok.error());
  }
  auto last = fl::newest_version(database_);
  if (!last) return tl::unexpected(last.error());
  const auto version = last->value_or(VersionRecord());
  // Not further back: where nothing is evaluated, that would be the whole table, every second.
  const auto since = version.version - std::min(version.version, kLookBack);
  auto evaluated = std::optional<VersionRecord>();
  ok =
      for_each_version(database_, "WHERE version > ? AND eval_loss IS NOT NULL ORDER BY version DESC LIMIT 1",
                       [&](const VersionRecord& record) { evaluated = record; }, {signed_of(since)});
  if (!ok) return tl::unexpected(ok.error());
  json["not_ready"] = "";
  json["strategy"] = to_string(config_.strategy.name);
  json["model"] = model_text(config_.trainer);
  json["data"] = config_.data.name;
  json["clients_count"] = config_.clients.count;
  json["version"] = version.version;
  json["max_versions"] = config_.goals.max_versions;
  json["updates_accepted"] = version.totals.updates_accepted;
  json["max_updates"] = config_.goals.max_updates;
  json["updates_rejected"] = rejected_;
  json["updates_per_s"] = nullptr;
  json["staleness_mean"] = version.updates > 0 ? Json(version.staleness_mean) : Json(nullptr);
  json["accuracy"] = evaluated ? or_null(evaluated->eval_accuracy) : Json(nullptr);
  json["loss"] = evaluated ? or_null(evaluated->eval_loss) : Json(nullptr);
  json["metrics"] = evaluated ? Json(evaluated->eval_metrics) : Json::object();
  // Of a live run the status says it, without a look at every version.
  json["best_accuracy"] = live_ ? Json(nullptr) : or_null(best_accuracy_in(database_));
  json["train_loss"] = version.updates > 0 ? Json(version.train_loss) : Json(nullptr);
  json["clients"] = {{"training", 0}, {"waiting", 0}, {"lost", 0}, {"quarantined", quarantined}};
  json["waited_for"] = "";
  json["waited_s"] = 0;
  json["elapsed_s"] = version.virtual_s.value_or(version.time_s);
  json["remaining_s"] = nullptr;
  json["virtual_time"] = version.virtual_s.has_value();
  json["bytes_up"] = version.totals.bytes_up;
  json["bytes_down"] = version.totals.bytes_down;
  json["restarts"] = version.totals.restarts;
  return json;
}

Result<RunView::Json> RunView::run() {
  const auto lock = std::lock_guard(mutex_);
  if (auto ok = catch_up(); !ok) return tl::unexpected(ok.error());
  auto json = stored_run();
  const auto newest = RunView::status();
  if (!json || !newest) return json;
  const auto& status = *newest;
  auto& now = *json;
  now["state"] = status.state;
  now["not_ready"] = status.not_ready;
  now["version"] = status.version;
  now["updates_accepted"] = status.updates_accepted;
  now["updates_per_s"] = status.updates_per_s;
  now["staleness_mean"] = status.staleness_mean;
  now["accuracy"] = known(status.accuracy);
  now["loss"] = status.accuracy >= 0 ? Json(status.loss) : Json(nullptr);
  now["best_accuracy"] = known(status.best_accuracy);
  now["train_loss"] = status.version > 0 ? Json(status.train_loss) : Json(nullptr);
  now["clients"] = {{"training", status.clients_training},
                    {"waiting", status.clients_waiting},
                    {"lost", status.clients_lost},
                    {"quarantined", status.clients_quarantined}};
  now["waited_for"] = status.waited_for;
  now["waited_s"] = status.waited_s;
  now["elapsed_s"] = status.elapsed_s;
  now["remaining_s"] = known(status.remaining_s);
  now["bytes_up"] = status.bytes_up;
  now["bytes_down"] = status.bytes_down;
  now["restarts"] = status.restarts;
  return json;
}

RunView::Json RunView::config() const {
  auto all = Json::array();
  const auto defaults = default_config();
  for (const auto& key : config_keys()) {
    const auto value = key.get(config_);
    const auto is_default = value == key.get(defaults);
    const auto hidden = key.secret && !is_default;
    all.push_back({{"key", key.name}, {"value", hidden ? "\"…\"" : to_toml(value)}, {"default", is_default}});
  }
  return all;
}

// -- Its parts ----------------------------------------------------------------------------------------------

Result<RunView::Json> RunView::versions(Version after) {
  const auto lock = std::lock_guard(mutex_);
  auto all = Json::array();
  auto ok = for_each_version(database_, "WHERE complete = 1 AND version > ? ORDER BY version LIMIT ?",
                             [&](const VersionRecord& version) { all.push_back(metrics_json(version)); },
                             {signed_of(after), std::int64_t{kMaxVersions}});
  if (!ok) return tl::unexpected(ok.error());
  return all;
}

Result<Version> RunView::newest_version() {
  const auto lock = std::lock_guard(mutex_);
  auto newest = Version{0};
  auto ok = database_.run("SELECT version FROM versions WHERE complete = 1 ORDER BY version DESC LIMIT 1", {},
                          [&](const SqlRow& row) { newest = row.count(0); });
  if (!ok) return tl::unexpected(ok.error());
  return newest;
}

Result<RunView::Json> RunView::clients() {
  const auto lock = std::lock_guard(mutex_);
  if (auto ok = catch_up(); !ok) return tl::unexpected(ok.error());
  auto places = std::map<ClientId, ClientWhereabouts>();
  auto elapsed_s = 0.0;
  {
    const auto live = std::lock_guard(live_mutex_);
    for (const auto& one : whereabouts_) places[one.client] = one;
    if (status_) elapsed_s = status_->elapsed_s;
  }
  auto all = Json::array();
  // A run of an older program has fewer tables.
  const auto measures =
      knows_measures_ ? std::pair("m.samples_per_s, m.lost", "LEFT JOIN measures m ON m.client = c.client ")
                      : std::pair("NULL, 0", "");
  const auto offenders =
      knows_offenders_ ? std::pair("o.strikes, o.quarantined", "LEFT JOIN offenders o ON o.name = c.name ")
                       : std::pair("0, 0", "");
  auto ok = database_.run(
      std::string("SELECT c.client, c.name, c.samples, ") + measures.first + ", " + offenders.first +
          " FROM clients c " + measures.second + offenders.second + "ORDER BY c.client LIMIT ?",
      {std::int64_t{kMaxClients}}, [&](const SqlRow& row) {
        const auto client = static_cast<ClientId>(row.count(0));
        const auto place = places.find(client);
        const auto* const here = place == places.end() ? nullptr : &place->second;
        const auto contribution = client < contributions_.size() ? contributions_[client] : Contribution();
        const auto updates = static_cast<double>(contribution.updates);
        auto json = Json();
        json["client"] = client;
        json["name"] = row.text(1);
        json["state"] = row.integer(6) == 1 ? "quarantined" : here ? name_of(here->state) : "absent";
        json["samples"] = row.count(2);
        json["samples_per_s"] = or_null(row.optional_number(3));
        json["task"] = here && here->task > 0 ? Json(here->task) : Json(nullptr);
        json["since_s"] = here && here->task > 0 ? Json(here->since_s) : Json(nullptr);
        const auto seen = live_ && contribution.updates > 0;
        json["last_seen_s"] = seen ? Json(std::max(0.0, elapsed_s - contribution.last_s)) : Json(nullptr);
        json["updates"] = contribution.updates;
        json["share"] = accepted_ > 0 ? updates / static_cast<double>(accepted_) : 0;
        json["staleness"] = contribution.updates > 0 ? Json(contribution.staleness / updates) : Json(nullptr);
        json["lost"] = row.count(4);
        json["strikes"] = row.count(5);
        all.push_back(std::move(json));
      });
  if (!ok) return tl::unexpected(ok.error());
  return all;
}

Result<RunView::Json> RunView::staleness() {
  const auto lock = std::lock_guard(mutex_);
  if (auto ok = catch_up(); !ok) return tl::unexpected(ok.error());
  return Json{{"counts", staleness_}};
}

Result<RunView::Json> RunView::events(std::uint64_t after) {
  const auto lock = std::lock_guard(mutex_);
  auto all = Json::array();
  const auto add = [&](const RunEvent& event) {
    all.push_back({{"id", event.id},
                   {"time", event.time},
                   {"kind", event.kind},
                   {"level", event.level},
                   {"text", event.text}});
  };
  {
    const auto live = std::lock_guard(live_mutex_);
    for (const auto& event : events_)
      if (event.id > after) add(event);
  }
  if (live_ || !knows_offenders_) return all;
  // Nobody was told anything: what the store knows.
  auto id = std::uint64_t{0};
  auto ok =
      database_.run("SELECT struck_at, name, reason FROM offenders WHERE quarantined = 1 ORDER BY struck_at",
                    {}, [&](const SqlRow& row) {
                      const auto text = row.text(1) + " is quarantined: " + row.text(2);
                      if (++id > after) add({id, row.text(0), "quarantine", "warning", text});
                    });
  if (!ok) return tl::unexpected(ok.error());
  return all;
}

std::optional<RunStatus> RunView::status() const {
  const auto lock = std::lock_guard(live_mutex_);
  return status_;
}

std::uint64_t RunView::newest_event() {
  const auto lock = std::lock_guard(live_mutex_);
  return last_event_;
}

Result<RunView::Counts> RunView::counts() {
  const auto lock = std::lock_guard(mutex_);
  if (auto ok = catch_up(); !ok) return tl::unexpected(ok.error());
  return Counts{status(), rejected_, staleness_, staleness_sum_, accepted_};
}

}  // namespace fl
