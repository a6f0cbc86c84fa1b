// The evaluator: measures versions beside the training, never in its way. On the server a job on the worker
// pool; with evaluate.where = "clients" the weighted mean of the clients' own answers.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "actors/actors.hpp"
#include "actors/chaos.hpp"
#include "actors/options.hpp"
#include "learning/ahead_pool.hpp"
#include "learning/data/standardisation.hpp"
#include "learning/worker_pool.hpp"

namespace fl {

/// What the evaluator evaluates with; on clients nothing of it is used.
struct EvaluationMeans {
  TrainerPtr trainer;
  std::shared_ptr<const DataView> data;  ///< held out on the server; null or empty: nothing can be evaluated
  std::shared_ptr<WorkerPool> pool;
  std::shared_ptr<AheadPool> ahead =
      nullptr;                 ///< on a simulated clock, instead of `pool`: takes no time of it
  SurveyPtr survey = nullptr;  ///< says how the inputs of `data` are to be standardised; null: they are not
};

struct EvaluatorState {
  static inline const char* name = "evaluator";

  /// Sums of the clients' answers for one version.
  struct Answers {
    std::set<ClientId> clients;
    double samples = 0;
    double loss = 0;      ///< Σ samples · loss
    double accuracy = 0;  ///< Σ samples · accuracy
    std::map<std::string, std::pair<double, double>>
        metrics;  ///< Σ samples · value and Σ samples of who has it
  };

  evaluator_actor::pointer self = nullptr;
  EvaluationOptions options;
  EvaluationMeans means;
  ChaosPtr chaos;
  PeersPtr peers;

  // on the server
  PublicationPtr running;
  std::shared_ptr<EvaluationJob> job;
  WorkerPool::JobId job_id = 0;
  PublicationPtr waiting;  ///< the newest version that is due; older ones are skipped
  // on the clients
  std::map<Version, Answers> open;
  std::uint32_t live = 0;
  Version considered = 0;  ///< the newest version heard of
  // the last version
  Version last_version = 0;
  std::uint32_t last_answers = 0;
  caf::typed_response_promise<Evaluation> last;
  std::optional<Evaluation> newest;

  explicit EvaluatorState(evaluator_actor::pointer actor) : self(actor) {}
  ~EvaluatorState();

  bool due(Version version) const;
  void consider(const PublicationPtr& publication);
  void start(const PublicationPtr& publication);
  Result<void> standardise();
  void cancel_job();
  void on_job_end(Version version, const std::string& error);
  void on_answer(const Evaluation& evaluation, ClientId client);
  void close_answers(Version version);
  void report(const Evaluation& evaluation);
  void skip(Version version);
  void recall(Version version);
};

evaluator_actor::behavior_type evaluator(evaluator_actor::stateful_pointer<EvaluatorState> self,
                                         EvaluationOptions options, EvaluationMeans means, ChaosPtr chaos);

}  // namespace fl
