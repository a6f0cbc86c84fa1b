#include "actors/evaluator.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "actors/crash_report.hpp"

namespace fl {

namespace {

/// Versions that may wait for answers of clients at the same time; the oldest is closed with what it has.
constexpr std::size_t kOpenVersions = 8;

/// How long the clients may take to evaluate the last version.
constexpr auto kLastAnswers = std::chrono::seconds(120);

}  // namespace

EvaluatorState::~EvaluatorState() {
  if (job) cancel_job();
}

bool EvaluatorState::due(Version version) const {
  return options.every > 0 && version > 0 && version % options.every == 0;
}

void EvaluatorState::consider(const PublicationPtr& publication) {
  const auto version = publication->model->version();
  if (publication->anew) {
    open.erase(open.upper_bound(version), open.end());
    if (waiting && waiting->model->version() > version) waiting = nullptr;
    if (running && running->model->version() > version) {
      cancel_job();
      running = nullptr;
      job = nullptr;
      if (auto next = std::exchange(waiting, nullptr)) start(next);
    }
    if (newest && newest->version > version) newest.reset();
  } else if (version == considered || considered == 0) {
    recall(version);
  }
  considered = version;
  if (version == 0) return;
  const auto known = (running && running->model->version() == version) ||
                     (waiting && waiting->model->version() == version) ||
                     (newest && newest->version == version);
  if (known && !publication->anew) return;
  if (!due(version)) {
    skip(version);
  } else if (options.on_clients) {
    open.try_emplace(version);
    while (open.size() > kOpenVersions) close_answers(open.begin()->first);
  } else if (!means.data || means.data->size() == 0) {
    skip(version);
  } else if (running) {
    if (waiting) skip(waiting->model->version());
    waiting = publication;
  } else {
    start(publication);
  }
}

/// The data become known as the model sees them with the first task, which comes before every version.
Result<void> EvaluatorState::standardise() {
  if (!means.survey) return {};
  const auto how = means.survey->known();
  if (!how) return fl::fail(ec::bad_data, "no client has said how its inputs are distributed");
  means.data = std::make_shared<const DataView>(standardised(*means.data, *how));
  means.survey = nullptr;
  return {};
}

void EvaluatorState::start(const PublicationPtr& publication) {
  const auto version = publication->model->version();
  chaos->strike_at("evaluator", "version", version);
  auto parameters = publication->model->parameters();
  const auto known = standardise();
  auto begun = !known       ? Result<std::unique_ptr<EvaluationJob>>(tl::unexpected(known.error()))
               : parameters ? means.trainer->evaluate(*parameters, means.data)
                            : Result<std::unique_ptr<EvaluationJob>>(tl::unexpected(parameters.error()));
  if (!begun) {
    spdlog::error("version {} cannot be evaluated: {}", version, to_string(begun.error()));
    skip(version);
    if (last.pending() && version == last_version) last.deliver(to_caf(begun.error()));
    return;
  }
  running = publication;
  job = std::move(*begun);
  if (means.ahead) {
    // Of the same moment, but after all that the version sets going, so that training does not wait for this.
    job_id = means.ahead->submit(job, self->clock().now());
    self->delayed_send(self, caf::timespan(1), caf::tick_atom_v, version, std::string());
    return;
  }
  job_id = means.pool->submit(
      job,
      [handle = caf::actor_cast<evaluator_actor>(self), version](std::exception_ptr error) {
        caf::anon_send(handle, caf::tick_atom_v, version, text_of(error));
      },
      Priority::high);
}

void EvaluatorState::cancel_job() {
  if (means.ahead)
    means.ahead->cancel(job_id);
  else
    means.pool->cancel(job_id);
}

void EvaluatorState::on_job_end(Version version, const std::string& failure) {
  if (!running || running->model->version() != version) return;
  const auto error = means.ahead ? text_of(means.ahead->finish(job_id)) : failure;
  auto evaluation = job->report();
  evaluation.version = version;
  running = nullptr;
  job = nullptr;
  if (!error.empty()) {
    spdlog::error("the evaluation of version {} failed: {}", version, error);
    skip(version);
    if (last.pending() && version == last_version) last.deliver(to_caf({ec::internal, error}));
  } else {
    report(evaluation);
  }
  if (auto next = std::exchange(waiting, nullptr)) start(next);
}

void EvaluatorState::on_answer(const Evaluation& evaluation, ClientId client) {
  const auto found = open.find(evaluation.version);
  if (found == open.end()) return;
  auto& answers = found->second;
  if (!answers.clients.insert(client).second) return;
  const auto samples = static_cast<double>(evaluation.samples);
  answers.samples += samples;
  answers.loss += samples * evaluation.loss;
  answers.accuracy += samples * evaluation.accuracy;
  for (const auto& [metric, value] : evaluation.metrics) {
    answers.metrics[metric].first += samples * value;
    answers.metrics[metric].second += samples;
  }
  const auto expected = last.pending() && evaluation.version == last_version ? last_answers : live;
  if (answers.clients.size() >= expected) close_answers(evaluation.version);
}

void EvaluatorState::close_answers(Version version) {
  const auto found = open.find(version);
  if (found == open.end()) return;
  const auto answers = found->second;
  open.erase(found);
  if (answers.samples == 0) {
    skip(version);
    if (last.pending() && version == last_version)
      last.deliver(to_caf({ec::unavailable, "no client evaluated the last version"}));
    return;
  }
  auto evaluation = Evaluation{version, static_cast<std::uint64_t>(answers.samples),
                               answers.loss / answers.samples, answers.accuracy / answers.samples};
  for (const auto& [metric, sums] : answers.metrics) evaluation.metrics[metric] = sums.first / sums.second;
  report(evaluation);
}

void EvaluatorState::report(const Evaluation& evaluation) {
  newest = evaluation;
  self->send(peers->metrics, evaluation);
  self->send(peers->aggregator, evaluation);
  if (last.pending() && evaluation.version == last_version) last.deliver(evaluation);
}

void EvaluatorState::skip(Version version) {
  self->send(peers->metrics, skip_atom_v, version, version);
}

/// A version that is told again, or is the first that this life hears of, means that an actor was restarted:
/// what was decided on the versions before may have been lost with it, or with us, and is said again.
void EvaluatorState::recall(Version version) {
  auto undecided = std::set<Version>();
  for (const auto& [open_version, answers] : open) undecided.insert(open_version);
  if (running) undecided.insert(running->model->version());
  if (waiting) undecided.insert(waiting->model->version());
  undecided.insert(version);
  auto first = Version{1};
  if (newest) self->send(peers->metrics, *newest);
  for (const auto next : undecided) {
    if (next > version) break;
    if (first < next) self->send(peers->metrics, skip_atom_v, first, next - 1);
    first = next + 1;
  }
}

evaluator_actor::behavior_type evaluator(evaluator_actor::stateful_pointer<EvaluatorState> self,
                                         EvaluationOptions options, EvaluationMeans means, ChaosPtr chaos) {
  self->state.options = options;
  self->state.means = std::move(means);
  self->state.chaos = std::move(chaos);
  end_with_reason_on_exception(self);
  return {
      [self](caf::tick_atom, Version version, const std::string& error) {
        if (self->state.options.on_clients)
          self->state.close_answers(version);
        else
          self->state.on_job_end(version, error);
      },
      [self](publish_atom, const PublicationPtr& publication) { self->state.consider(publication); },
      [self](evaluate_atom, const PublicationPtr& publication, std::uint32_t answers) {
        auto& state = self->state;
        const auto version = publication->model->version();
        state.last = self->make_response_promise<Evaluation>();
        state.last_version = version;
        state.last_answers = answers;
        if (state.newest && state.newest->version == version) {
          state.last.deliver(*state.newest);
        } else if (state.options.on_clients) {
          if (state.open[version].clients.size() >= answers) state.close_answers(version);
          self->delayed_send(self, kLastAnswers, caf::tick_atom_v, version, std::string());
        } else if (!state.means.data || state.means.data->size() == 0) {
          state.last.deliver(to_caf({ec::bad_data, "there is no held-out data to evaluate on"}));
        } else if (state.running) {
          if (state.running->model->version() != version) {
            if (state.waiting && state.waiting->model->version() != version)
              state.skip(state.waiting->model->version());
            state.waiting = publication;
          }
        } else {
          state.start(publication);
        }
        return state.last;
      },
      [self](const Evaluation& evaluation, ClientId client) { self->state.on_answer(evaluation, client); },
      [self](live_atom, std::uint32_t clients) { self->state.live = clients; },
      [self](wire_atom, const PeersPtr& peers) { self->state.peers = peers; },
  };
}

}  // namespace fl
