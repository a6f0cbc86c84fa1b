// The closing texts: what a summary says to people.
#include <spdlog/fmt/fmt.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "runtime/quantities.hpp"
#include "runtime/summary.hpp"

namespace fl {
namespace {

namespace fs = std::filesystem;

std::string headline(std::string_view who, RunOutcome status, const std::string& reason) {
  return fmt::format("{} {}{}\n", who, name_of(status),
                     reason.empty() ? "." : fmt::format(": {}.", printable(reason)));
}

std::string row(std::string_view label, const std::string& value) {
  return fmt::format("  {:<13}{}\n", label, value);
}

std::string updates_text(std::uint64_t accepted, const std::map<std::string, std::uint64_t>& rejected) {
  std::uint64_t total = 0;
  std::string reasons;
  for (const auto& [reason, count] : rejected) {
    total += count;
    reasons += fmt::format("{}{} {}", reasons.empty() ? "" : ", ", printable(reason), count);
  }
  return fmt::format("{} accepted, {} rejected{}", accepted, total,
                     total > 0 ? fmt::format(" ({})", reasons) : "");
}

std::string accuracy_text(const RunSummary& summary) {
  if (!summary.final_accuracy) return "not measured";
  std::string text = fmt::format("{} at the end", percent_text(*summary.final_accuracy));
  if (summary.best_accuracy) text += fmt::format(", {} at best", percent_text(*summary.best_accuracy));
  if (summary.final_loss) text += fmt::format("; loss {:.4f}", *summary.final_loss);
  return text;
}

/// The files of a folder that are there, each with what it is for.
std::string files_text(const fs::path& dir,
                       std::initializer_list<std::pair<std::string_view, std::string_view>> known) {
  if (dir.empty()) return {};
  std::string text;
  for (const auto& [name, purpose] : known) {
    std::error_code ignored;
    if (!fs::exists(dir / name, ignored)) continue;
    text += fmt::format("  {:<24}{}\n", name, purpose);
  }
  return text.empty() ? text : fmt::format("Files in {}:\n{}", dir.string(), text);
}

Result<std::string> describe_unfinished(const fs::path& dir) {
  std::ifstream in(dir / "metrics.jsonl");
  if (!in) {
    return fail(ec::bad_config,
                dir.string() +
                    ": holds no run (neither summary.json nor metrics.jsonl). Give the folder "
                    "of --out, or the host and port of a running aggregator");
  }
  nlohmann::json last;
  for (std::string line; std::getline(in, line);) {
    // A line that is being written, or was cut short by a crash, does not parse and does not count.
    auto version = nlohmann::json::parse(line, nullptr, false);
    if (version.is_object()) last = std::move(version);
  }
  const auto number = [&](const char* key) -> std::optional<double> {
    if (!last.is_object() || !last.contains(key) || !last[key].is_number()) return std::nullopt;
    return last[key].get<double>();
  };
  const auto version = number("version");
  std::string text = "Run not ended: it is running, or was cut short and can be continued with --resume.\n";
  if (!version) return text + row("version", "none finished yet");
  const auto accuracy = number("eval_accuracy");
  text += row("version", fmt::format("{:.0f}", *version));
  text += row("accuracy", accuracy ? percent_text(*accuracy) : "not measured for this version");
  if (const auto time = number("time_s")) text += row("time", duration_text(*time));
  return text;
}

}  // namespace

std::string describe(const RunSummary& summary, const fs::path& out_dir, std::string_view resume_command) {
  std::string text = headline("Run", summary.status, summary.reason);
  text += row("model", fmt::format("version {}, {} with {}", summary.model_version,
                                   printable(summary.strategy), counted(summary.clients, "client")));
  text += row("accuracy", accuracy_text(summary));
  text += row("updates", updates_text(summary.updates_accepted, summary.updates_rejected));
  if (!summary.quarantined.empty()) {
    text +=
        row("quarantined", fmt::format("{}; `fl_actor_node pardon RUN_DIR NAME` lets one in again",
                                       printable(fmt::format("{}", fmt::join(summary.quarantined, ", ")))));
  }
  text += row("staleness", fmt::format("{:.2f} versions on average, {} at most", summary.staleness_mean,
                                       summary.staleness_max));
  text += row("time", duration_text(summary.wall_seconds) +
                          (summary.virtual_seconds ? fmt::format(" for {} of simulated time",
                                                                 duration_text(*summary.virtual_seconds))
                                                   : ""));
  text += row("transferred",
              fmt::format("{} up, {} down", bytes_text(summary.bytes_up), bytes_text(summary.bytes_down)));
  if (summary.sparsity > 0)
    text += row("pruned", percent_text(summary.sparsity) + " of the weights are zero");
  if (summary.int8_accuracy) text += row("in 8 bits", percent_text(*summary.int8_accuracy) + " accuracy");
  text += row("memory", fmt::format("{} at most", bytes_text(summary.peak_rss_bytes)));
  text += row("restarts", fmt::format("{}", summary.restarts));
  if (summary.resumed_from_version) {
    text += row("resumed", fmt::format("from version {}", *summary.resumed_from_version));
  }
  text += files_text(out_dir, {{"model.safetensors", "the model's parameters"},
                               {"model.int8.safetensors", "the same with weights in 8 bits"},
                               {"model.pt", "the model for torch.jit.load in Python"},
                               {"metrics.jsonl", "a line a version: loss, accuracy, staleness, time"},
                               {"summary.json", "these numbers"},
                               {"config.toml", "the configuration as it was used"},
                               {"run.db", "every update and decision (SQLite)"},
                               {"checkpoints", "snapshots to resume from"}});
  if (summary.status != RunOutcome::completed && !resume_command.empty()) {
    text += fmt::format("To go on from version {}:\n  {}\n", summary.model_version, resume_command);
  }
  return text;
}

std::string describe(const ClientSummary& summary, const fs::path& out_dir) {
  std::string text = headline(summary.clients == 1
                                  ? fmt::format("Client {}", printable(summary.name))
                                  : fmt::format("{} clients of {}", summary.clients, printable(summary.name)),
                              summary.status, summary.reason);
  text += row("tasks",
              fmt::format("{} done, the last from version {}", summary.tasks_done, summary.last_version));
  text += row("updates", updates_text(summary.updates_accepted, summary.updates_rejected));
  text += row("time", duration_text(summary.wall_seconds));
  text += row("transferred",
              fmt::format("{} up, {} down", bytes_text(summary.bytes_up), bytes_text(summary.bytes_down)));
  text += row("memory", fmt::format("{} at most", bytes_text(summary.peak_rss_bytes)));
  text += row("reconnects", fmt::format("{}", summary.reconnects));
  text += files_text(out_dir, {{"summary.json", "these numbers"},
                               {"client.db", "what the client remembers between its starts (SQLite)"},
                               {"spool", "updates that were not handed over yet"}});
  return text;
}

Result<std::string> describe_folder(const fs::path& dir) {
  const fs::path file = dir / "summary.json";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return describe_unfinished(dir);
  if (const auto client = read_client_summary(file)) return describe(*client, dir);
  const auto run = read_summary(file);
  if (!run) return tl::unexpected(run.error());
  return describe(*run, dir);
}

}  // namespace fl
