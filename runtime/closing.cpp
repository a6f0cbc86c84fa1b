#include "runtime/closing.hpp"

#include <spdlog/spdlog.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "learning/data/own_data.hpp"
#include "learning/pruning.hpp"
#include "learning/quantized_export.hpp"
#include "runtime/safetensors.hpp"

namespace fl {

namespace {

constexpr auto kSaveTimeout = std::chrono::minutes(10);
constexpr auto kEvaluateTimeout = std::chrono::minutes(10);
constexpr auto kClosingTimeout = std::chrono::seconds(10);
/// How long clients have to hear that the run is over.
constexpr auto kClientsFarewell = std::chrono::seconds(5);

RunOutcome outcome_of(RunEnd::Kind kind) {
  switch (kind) {
    case RunEnd::Kind::goal:
      return RunOutcome::completed;
    case RunEnd::Kind::stopped:
    case RunEnd::Kind::interrupted:
      return RunOutcome::stopped;
    case RunEnd::Kind::failed:
      return RunOutcome::failed;
  }
  return RunOutcome::failed;
}

template <class T>
bool succeeded(const Result<T>& result, const char* what) {
  if (!result) spdlog::error("{}: {}", what, to_string(result.error()));
  return result.has_value();
}

void evaluate_last(const ServerSetup& setup, NodeInbox& inbox, const PublicationPtr& last,
                   const std::string& reason) {
  auto answers = Result<std::uint32_t>(0u);
  if (setup.config.evaluation.on_clients)
    answers = inbox.ask<std::uint32_t>(&Peers::scheduler, kClosingTimeout, finish_atom_v, reason, last);
  if (setup.workbench.trainer && setup.config.trainer.backend == "echo") return;
  auto evaluation =
      inbox.ask<Evaluation>(&Peers::evaluator, kEvaluateTimeout, evaluate_atom_v, last, answers.value_or(0u));
  if (!evaluation && evaluation.error().code != ec::bad_data)
    succeeded(evaluation, "the last version is not evaluated");
}

void say_farewell(NodeInbox& inbox, const std::string& reason) {
  (void)inbox.ask<std::uint32_t>(&Peers::scheduler, kClosingTimeout, finish_atom_v, reason, PublicationPtr());
  if (inbox.clock() != nullptr) return;  // a fleet stays where it is
  const auto until = std::chrono::steady_clock::now() + kClientsFarewell;
  while (std::chrono::steady_clock::now() < until) {
    const auto status = inbox.ask<RunStatus>(&Peers::metrics, kClosingTimeout, status_atom_v);
    if (!status || status->clients_training + status->clients_waiting == 0) return;
    inbox.self()->receive(caf::after(std::chrono::milliseconds(20)) >> [] {});
  }
}

/// On the data that the server has; none: it has none, or the model computes nothing.
std::optional<double> accuracy_of(const ServerSetup& setup, Parameters model) {
  const auto view = test_data(setup.workbench);
  if (!view || view->size() == 0) return std::nullopt;
  auto job = setup.workbench.trainer->evaluate(std::make_shared<const Parameters>(std::move(model)), view);
  if (!succeeded(job, "the model in 8 bits is not evaluated")) return std::nullopt;
  while (!(*job)->run_slice(std::chrono::steady_clock::time_point::max())) {
  }
  return (*job)->report().accuracy;
}

std::optional<double> export_int8(const ServerSetup& setup, const Parameters& model,
                                  std::map<std::string, std::string> metadata) {
  metadata["quantization"] = "int8 weights, symmetric, a scale for each output channel";
  const auto small = quantized(model);
  succeeded(write_safetensors(small, metadata, setup.folder.path() / "model.int8.safetensors"),
            "model.int8.safetensors");
  return accuracy_of(setup, dequantized(small));
}

/// What a reader of the model alone has to know.
std::string about_model(const ServerSetup& setup, Version version) {
  const auto& bench = setup.workbench;
  auto about = nlohmann::ordered_json();
  about["model"] = bench.model_name;
  about["version"] = version;
  about["run_id"] = setup.store->run_id();
  about["loss"] = to_string(setup.config.trainer.loss);
  about["schema"] =
      nlohmann::ordered_json::parse(to_json(bench.schema ? *bench.schema : shared_schema(setup.config.data)));
  return about.dump(2) + "\n";
}

void export_model(const ServerSetup& setup, const Parameters& model, RunSummary& summary) {
  const auto& folder = setup.folder.path();
  summary.model_sha256 = model.sha256();
  summary.sparsity = sparsity(*model.layout(), model.values());
  auto metadata = std::map<std::string, std::string>{{"format", "pt"},
                                                     {"model", setup.workbench.model_name},
                                                     {"version", std::to_string(summary.model_version)},
                                                     {"run_id", setup.store->run_id()}};
  if (summary.sparsity > 0) metadata["sparsity"] = std::to_string(summary.sparsity);
  succeeded(write_safetensors(model, metadata, folder / "model.safetensors"), "model.safetensors");
  const auto terms =
      ExportTerms{setup.workbench.known_standardisation(), about_model(setup, summary.model_version)};
  auto scripted = setup.workbench.trainer->export_torchscript(model, folder / "model.pt", terms);
  if (!scripted && scripted.error().code != ec::unsupported_format) succeeded(scripted, "model.pt");
  if (setup.config.export_int8) summary.int8_accuracy = export_int8(setup, model, std::move(metadata));
}

}  // namespace

RunSummary close_run(ServerSetup& setup, NodeInbox& inbox, const RunEnd& end) {
  auto summary = RunSummary();
  summary.status = outcome_of(end.kind);
  summary.reason = end.reason;
  summary.strategy = to_string(setup.config.strategy.name);
  summary.clients = setup.config.clients.count;
  if (inbox.clock() != nullptr) summary.events = inbox.clock()->events();
  if (inbox.has_peers()) caf::anon_send(inbox.peers().metrics, status_atom_v, std::string("stopping"));

  auto last = inbox.ask<PublicationPtr>(&Peers::aggregator, kSaveTimeout, stop_atom_v, end.reason);
  if (succeeded(last, "the last version is not saved")) {
    const auto& model = (*last)->model;
    summary.model_version = model->version();
    if (end.kind != RunEnd::Kind::failed) evaluate_last(setup, inbox, *last, end.reason);
    if (auto parameters = model->parameters(); succeeded(parameters, "the last version is not exported")) {
      export_model(setup, **parameters, summary);
    }
  } else {
    summary.status = RunOutcome::failed;
    if (end.kind != RunEnd::Kind::failed)
      summary.reason += ", but the last version is not saved: " + last.error().text;
    // What the ledger holds is there all the same.
    const auto saved = setup.store->last_version();
    if (setup.store->keeps_updates() && saved && *saved) summary.model_version = (*saved)->version;
  }
  // An interrupted run goes on later: its clients keep trying to come back.
  if (end.kind == RunEnd::Kind::goal || end.kind == RunEnd::Kind::stopped) say_farewell(inbox, end.reason);

  if (auto record = inbox.ask<VersionRecordPtr>(&Peers::metrics, kClosingTimeout, stop_atom_v);
      succeeded(record, "the counts are not known")) {
    const auto& totals = (*record)->totals;
    summary.updates_accepted = totals.updates_accepted;
    summary.updates_rejected = totals.updates_rejected;
    summary.staleness_mean =
        totals.updates_accepted > 0 ? totals.staleness_sum / static_cast<double>(totals.updates_accepted) : 0;
    summary.staleness_max = totals.staleness_max;
    summary.final_accuracy = (*record)->eval_accuracy;
    summary.final_loss = (*record)->eval_loss;
    summary.final_metrics = (*record)->eval_metrics;
    summary.wall_seconds = totals.wall_seconds;
    if (inbox.clock() != nullptr) summary.virtual_seconds = totals.virtual_seconds;
    summary.bytes_up = totals.bytes_up;
    summary.bytes_down = totals.bytes_down;
    summary.restarts = totals.restarts;
  }
  summary.quarantined = setup.store->quarantined().value_or(std::vector<std::string>());
  summary.best_accuracy = setup.store->best_accuracy();
  return summary;
}

ExitCode finish_run(ServerSetup& setup, const RunEnd& end, RunSummary summary) {
  const auto& folder = setup.folder.path();
  summary.peak_rss_bytes = peak_rss_bytes();
  succeeded(write_summary(folder / "summary.json", summary), "summary.json");
  const auto state = summary.status == RunOutcome::completed ? RunState::completed
                     : summary.status == RunOutcome::stopped ? RunState::stopped
                                                             : RunState::failed;
  succeeded(setup.store->set_state(state), "run.db");
  const auto text = describe(summary, folder, setup.resume_command);
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
  if (summary.status == RunOutcome::failed) return ExitCode::failed;
  return end.kind == RunEnd::Kind::interrupted ? ExitCode::interrupted : ExitCode::done;
}

}  // namespace fl
