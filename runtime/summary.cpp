#include "runtime/summary.hpp"

#include <sys/resource.h>

#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <type_traits>

#include "runtime/atomic_file.hpp"

namespace fl {
namespace {

using Json = nlohmann::ordered_json;  // the file keeps the order of the documentation
namespace fs = std::filesystem;

constexpr std::array kOutcomes{RunOutcome::completed, RunOutcome::stopped, RunOutcome::failed};

// Calls `field(key, member)` for every key, so that reading and writing cannot differ.
template <class Summary, class Field>
requires std::is_same_v<std::remove_const_t<Summary>, RunSummary>
void for_each_key(Summary& s, Field field) {
  field("status", s.status);
  field("reason", s.reason);
  field("strategy", s.strategy);
  field("clients", s.clients);
  field("model_version", s.model_version);
  field("updates_accepted", s.updates_accepted);
  field("updates_rejected", s.updates_rejected);
  field("quarantined", s.quarantined);
  field("staleness_mean", s.staleness_mean);
  field("staleness_max", s.staleness_max);
  field("final_accuracy", s.final_accuracy);
  field("best_accuracy", s.best_accuracy);
  field("final_metrics", s.final_metrics);
  field("final_loss", s.final_loss);
  field("wall_seconds", s.wall_seconds);
  field("virtual_seconds", s.virtual_seconds);
  field("events", s.events);
  field("bytes_up", s.bytes_up);
  field("bytes_down", s.bytes_down);
  field("restarts", s.restarts);
  field("resumed_from_version", s.resumed_from_version);
  field("model_sha256", s.model_sha256);
  field("sparsity", s.sparsity);
  field("int8_accuracy", s.int8_accuracy);
  field("peak_rss_bytes", s.peak_rss_bytes);
}

template <class Summary, class Field>
requires std::is_same_v<std::remove_const_t<Summary>, ClientSummary>
void for_each_key(Summary& s, Field field) {
  field("status", s.status);
  field("reason", s.reason);
  field("name", s.name);
  field("clients", s.clients);
  field("tasks_done", s.tasks_done);
  field("updates_accepted", s.updates_accepted);
  field("updates_rejected", s.updates_rejected);
  field("bytes_up", s.bytes_up);
  field("bytes_down", s.bytes_down);
  field("reconnects", s.reconnects);
  field("last_version", s.last_version);
  field("wall_seconds", s.wall_seconds);
  field("peak_rss_bytes", s.peak_rss_bytes);
}

template <class T>
Json to_json(const T& value) {
  return value;
}
Json to_json(RunOutcome value) {
  return name_of(value);
}
template <class T>
Json to_json(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

// Readers throw nlohmann's exceptions; `read_as` turns them into values.
template <class T>
void from_json(const Json& json, T& value) {
  if (json.is_number() && std::is_unsigned_v<T> && !json.is_number_unsigned()) {
    throw std::invalid_argument("is no whole number of 0 or more");
  }
  json.get_to(value);
}
void from_json(const Json& json, RunOutcome& value) {
  for (const RunOutcome outcome : kOutcomes) {
    if (json.get<std::string>() == name_of(outcome)) {
      value = outcome;
      return;
    }
  }
  throw std::invalid_argument("is none of completed, stopped, failed");
}
template <class T>
void from_json(const Json& json, std::optional<T>& value) {
  value.reset();
  if (!json.is_null()) from_json(json, value.emplace());
}

template <class Summary>
Result<void> write_as(const fs::path& file, const Summary& summary) {
  Json json = Json::object();
  for_each_key(summary, [&](const char* key, const auto& value) { json[key] = to_json(value); });
  return write_atomically(file, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

template <class Summary>
Result<Summary> read_as(const fs::path& file) {
  std::ifstream in(file);
  if (!in) return fail(ec::io_failed, file.string() + ": cannot be read");
  std::stringstream text;
  text << in.rdbuf();
  const Json json = Json::parse(text.str(), nullptr, false);
  if (!json.is_object()) return fail(ec::corrupt_data, file.string() + ": is not a summary (no JSON object)");
  Summary summary;
  std::string problem;
  for_each_key(summary, [&](const char* key, auto& value) {
    if (!problem.empty()) return;
    try {
      from_json(json.at(key), value);
    } catch (const std::exception& error) {
      problem = std::string("key ") + key + ": " + error.what();
    }
  });
  if (!problem.empty()) return fail(ec::corrupt_data, file.string() + ": is not a summary: " + problem);
  return summary;
}

}  // namespace

std::string_view name_of(RunOutcome outcome) {
  switch (outcome) {
    case RunOutcome::completed:
      return "completed";
    case RunOutcome::stopped:
      return "stopped";
    case RunOutcome::failed:
      break;
  }
  return "failed";
}

Result<void> write_summary(const fs::path& file, const RunSummary& summary) {
  return write_as(file, summary);
}

Result<void> write_summary(const fs::path& file, const ClientSummary& summary) {
  return write_as(file, summary);
}

Result<RunSummary> read_summary(const fs::path& file) {
  return read_as<RunSummary>(file);
}

Result<ClientSummary> read_client_summary(const fs::path& file) {
  return read_as<ClientSummary>(file);
}

std::uint64_t peak_rss_bytes() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;  // Linux counts in KiB
}

}  // namespace fl
