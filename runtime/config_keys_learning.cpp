#include "learning/compression/codec.hpp"
#include "runtime/config_binding.hpp"

namespace fl {

using config_binding::following_key;
using config_binding::key;
using config_binding::key_or_word;

namespace {

std::vector<ConfigKey> train_keys() {
  return {
      key("train.backend", FL_CONFIG_MEMBER(trainer.backend))
          .one_of({"torch", "echo"})
          .says("torch trains. echo trains nothing and answers after train.echo_seconds, to measure the "
                "system; it needs "
                "model.name = \"flat\". Each client's own affair: it does not travel."),
      key("train.echo_seconds", FL_CONFIG_MEMBER(trainer.echo_seconds))
          .in(at_least(0))
          .says("Seconds that an echo task takes. Does not travel."),
      key("train.epochs", FL_CONFIG_MEMBER(training.epochs))
          .in(at_least(1))
          .says("Passes over the client's samples in one task, unless train.steps is given."),
      key("train.steps", FL_CONFIG_MEMBER(training.steps))
          .says("Exact number of batches in one task. 0: train.epochs decides."),
      key("train.batch_size", FL_CONFIG_MEMBER(training.batch_size))
          .in(at_least(1))
          .says("Samples in one batch."),
      key("train.learning_rate", FL_CONFIG_MEMBER(training.learning_rate))
          .in(above(0))
          .says("Step size of local training."),
      key("train.loss", FL_CONFIG_MEMBER(trainer.loss))
          .one_of({"cross_entropy", "bce", "mse", "huber"})
          .makes_the_run()
          .says(
              "What training makes smaller. cross_entropy: of logits, one a class. bce: binary cross-entropy "
              "of one logit, for two classes. mse: squared error of one number. huber: squared up to an "
              "error of "
              "1, linear beyond."),
      key("train.momentum", FL_CONFIG_MEMBER(training.momentum))
          .in(from_below(0, 1))
          .says("Momentum of local SGD."),
      key("train.nesterov", FL_CONFIG_MEMBER(training.nesterov))
          .says("Nesterov momentum; needs train.momentum above 0."),
      key("train.weight_decay", FL_CONFIG_MEMBER(training.weight_decay))
          .in(at_least(0))
          .says("L2 penalty on the parameters."),
      key("train.optimizer", FL_CONFIG_MEMBER(training.optimizer))
          .one_of({"sgd", "adam"})
          .says("The clients' optimiser."),
      key("train.proximal_mu", FL_CONFIG_MEMBER(training.proximal_mu))
          .in(at_least(0))
          .says("µ of FedProx: adds µ/2 ‖x − base‖² to the loss, which holds clients with unlike data "
                "together."),
      key("train.class_balance", FL_CONFIG_MEMBER(training.balance.loss_beta))
          .in(from_below(0, 1))
          .says("β of the class-balanced loss: a sample counts (1 − β) / (1 − β^n) where the client has n of "
                "its "
                "label, scaled so that the mean is 1. 0: all alike; towards 1: by 1 / n. 0.99 to 0.9999 are "
                "usual "
                "(Cui 2019)."),
      key("train.prune_ratio", FL_CONFIG_MEMBER(strategy.publishing.pruning.ratio))
          .in(from_below(0, 1))
          .makes_the_run()
          .says("Share of the weights (tensors of two dimensions and more, over the whole model) that are "
                "zero in "
                "the end: the smallest by magnitude. They are neither trained nor sent. 0: none."),
      key("train.prune_schedule", FL_CONFIG_MEMBER(prune_schedule))
          .one_of({"gradual", "once"})
          .makes_the_run()
          .says(
              "gradual: many weights at first, fewer later, until train.prune_versions. once: all of them at "
              "that version."),
      key("train.prune_versions", FL_CONFIG_MEMBER(strategy.publishing.pruning.versions))
          .in(at_least(1))
          .makes_the_run()
          .says("Version at which train.prune_ratio is reached."),
      key("train.prune_every", FL_CONFIG_MEMBER(strategy.publishing.pruning.every))
          .in(at_least(1))
          .makes_the_run()
          .says("Versions for which a mask holds."),
      key("train.max_idle_deltas", FL_CONFIG_MEMBER(upload.max_idle_deltas))
          .says(
              "Uploads in a row that a client may leave out because it has learnt little: such a delta waits "
              "and is added to the next (lazily aggregated updates). 0: none."),
      key("train.idle_below", FL_CONFIG_MEMBER(upload.idle_below))
          .in(inside(0, 1))
          .says("How little that is: what would be sent has a norm below this share of what was sent last."),
      key("train.threads", FL_CONFIG_MEMBER(trainer.threads))
          .in(at_least(1))
          .says("Threads of one task. 1 is best where several tasks run at once, and the only setting under "
                "which results do "
                "not depend on the machine. Does not travel."),
      key("train.precision", FL_CONFIG_MEMBER(trainer.precision))
          .one_of({"fp32", "bf16"})
          .says("bf16 computes with half the bits, which is about twice as fast on recent processors; "
                "parameters and updates "
                "stay float32. Does not travel."),
      key("train.device", FL_CONFIG_MEMBER(trainer.device))
          .one_of({"auto", "cpu", "cuda"})
          .says("Where training computes; auto: a GPU if there is one. Does not travel."),
  };
}

std::vector<ConfigKey> strategy_keys() {
  return {
      key("strategy.name", FL_CONFIG_MEMBER(strategy.name))
          .one_of({"fedavg", "fedavg_async", "fedasync", "fedasync_delta", "fedbuff"})
          .makes_the_run()
          .says("How updates become the next version. fedavg: synchronous, waits for the whole cohort. "
                "fedavg_async: averages "
                "the first buffer_size clients, weighted by samples and staleness; nobody waits. fedbuff: "
                "the same without "
                "sample counts. fedasync: mixes in each client's model as it comes. fedasync_delta: adds "
                "each client's "
                "delta as it comes, which differs from fedasync when the update is stale."),
      key_or_word("strategy.buffer_size", FL_CONFIG_MEMBER(strategy.buffer_size), "auto",
                  FL_CONFIG_MEMBER(strategy.buffer_auto))
          .says(
              "Distinct clients whose updates make a version, for fedavg_async and fedbuff. 0: a quarter "
              "of the connected clients, at least 1 (fedbuff: 10). auto: begins so, and then follows the "
              "rate at which updates arrive and how old they are, so that they are strategy.buffer_staleness "
              "versions old on average; the log says when it changes."),
      key("strategy.buffer_staleness", FL_CONFIG_MEMBER(strategy.buffer_staleness))
          .in(above(0))
          .says("How many versions old updates are to be on average, for strategy.buffer_size = \"auto\". "
                "Less: larger buffers and fewer versions."),
      key("strategy.mixing", FL_CONFIG_MEMBER(strategy.mixing))
          .in(above_to(0, 1))
          .says("α of fedasync and fedasync_delta: the share of a fresh update."),
      key("strategy.staleness", FL_CONFIG_MEMBER(strategy.staleness.function))
          .one_of({"constant", "polynomial", "hinge", "exponential"})
          .says("How much an update counts that began τ versions ago. constant: 1. polynomial: (1 + τ)^−a. "
                "hinge: 1 up to b, "
                "then 1 / (a (τ − b) + 1). exponential: e^(−a τ)."),
      following_key("strategy.staleness_a", FL_CONFIG_MEMBER(given.staleness_a),
                    FL_CONFIG_MEMBER(strategy.staleness.a),
                    "0.5 for polynomial, 10 for hinge, 0.1 for exponential")
          .in(above(0))
          .says("a of the staleness function."),
      key("strategy.staleness_b", FL_CONFIG_MEMBER(strategy.staleness.b))
          .in(at_least(0))
          .says("b of the staleness function hinge, in versions."),
      key("strategy.max_staleness", FL_CONFIG_MEMBER(strategy.max_staleness))
          .says("An update that began more versions ago than this is refused. 0: no limit."),
      key("strategy.server_optimizer", FL_CONFIG_MEMBER(server_optimizer.name))
          .one_of({"none", "momentum", "adagrad", "adam", "yogi"})
          .makes_the_run()
          .says("What turns the averaged update into a step (FedOpt)."),
      following_key("strategy.server_learning_rate", FL_CONFIG_MEMBER(given.server_learning_rate),
                    FL_CONFIG_MEMBER(strategy.server_learning_rate),
                    "1; with a server optimiser 0.1, with yogi 0.01")
          .in(above(0))
          .makes_the_run()
          .says("Step size of the server: how much of the averaged update is applied."),
      key("strategy.beta1", FL_CONFIG_MEMBER(server_optimizer.beta1))
          .in(from_below(0, 1))
          .makes_the_run()
          .says("Decay of the server optimiser's first moment."),
      key("strategy.beta2", FL_CONFIG_MEMBER(server_optimizer.beta2))
          .in(from_below(0, 1))
          .makes_the_run()
          .says("Decay of the second moment, for adam and yogi."),
      key("strategy.epsilon", FL_CONFIG_MEMBER(server_optimizer.epsilon))
          .in(above(0))
          .makes_the_run()
          .says("Keeps adagrad, adam and yogi from dividing by nothing."),
  };
}

std::vector<ConfigKey> exchange_keys() {
  return {
      key("upload.codec", FL_CONFIG_MEMBER(upload.codec))
          .says("How updates are compressed on their way to the server: " + std::string(kCodecGrammar) +
                ". What a biased codec (top_k, sign, fp16, bf16) leaves out is added to the client's next "
                "update. docs/communication.md says what each reached."),
      key("upload.warmup_versions", FL_CONFIG_MEMBER(warmup_versions))
          .says(
              "Versions over which the share that top_k or random_k keeps sinks exponentially to the one of "
              "upload.codec, for models whose first steps are large. 0: at once."),
      key("upload.momentum", FL_CONFIG_MEMBER(upload.momentum))
          .in(from_below(0, 1))
          .says("m of momentum correction (Deep Gradient Compression): each client adds m times its last "
                "velocity to its delta before top_k selects, and forgets it where something was sent. Steps "
                "become up to 1 / (1 − m) times as long. 0: none."),
      key("download.codec", FL_CONFIG_MEMBER(download_codec))
          .makes_the_run()
          .says(
              "How models travel to clients that hold an earlier version. none: whole. xor: the bits that "
              "changed, exactly. A lossy codec (as for upload.codec, but random_k and qsgd): each version is "
              "the last one plus what the codec says of the step; what it leaves out is kept by the server "
              "and joins the next step. Whoever holds no recent version gets all of it, losslessly "
              "compressed. A version that a client holds already does not travel, whatever is set here."),
      key("download.window", FL_CONFIG_MEMBER(downloads.window))
          .in(between(1, 1000))
          .says("Versions that a client may be behind and still get a change. With xor the server keeps so "
                "many "
                "models."),
      key("schedule.policy", FL_CONFIG_MEMBER(scheduler.policy.name))
          .one_of({"all", "random", "power_of_choice", "oort", "tiered", "fair"})
          .says("Who is given work where not everybody is (clients.fraction, schedule.max_concurrent). all: "
                "who has "
                "waited longest; cohorts are drawn at random. random: drawn. power_of_choice: of some drawn, "
                "who had "
                "the largest loss (2010.01243). oort: who has much to teach and is not too slow, and some "
                "that were "
                "never tried (2010.06081). tiered: clients that are about as fast as each other (TiFL, "
                "2001.09249). "
                "fair: who had the fewest updates accepted, and nobody beyond schedule.fair_share."),
      key("schedule.choices", FL_CONFIG_MEMBER(scheduler.policy.choices))
          .in(at_least(1))
          .says("power_of_choice draws so many times as many candidates as it needs."),
      key("schedule.oort_alpha", FL_CONFIG_MEMBER(scheduler.policy.oort_alpha))
          .in(at_least(0))
          .says("How much being slower than the median counts against a client with oort. 0: nothing."),
      key("schedule.tiers", FL_CONFIG_MEMBER(scheduler.policy.tiers))
          .in(at_least(1))
          .says("Tiers of speed with tiered."),
      key("schedule.fair_share", FL_CONFIG_MEMBER(scheduler.policy.fair_share))
          .in(at_least(1))
          .says(
              "With fair a client waits while it has so many times its equal share of the accepted updates."),
      key("schedule.max_concurrent", FL_CONFIG_MEMBER(scheduler.max_concurrent))
          .says("Clients that train at the same time, at most, beside clients.fraction. 0: no limit."),
      key("schedule.adaptive_work", FL_CONFIG_MEMBER(scheduler.work.adaptive))
          .says("Gives slow clients fewer batches and fast ones more, by the speed that was measured, so "
                "that tasks "
                "take about the same time. An update counts by the samples it was really trained on."),
      key("schedule.target_task_seconds", FL_CONFIG_MEMBER(scheduler.work.target))
          .in(at_least(0))
          .says("What a task is to take with schedule.adaptive_work. 0: what the median client takes for the "
                "configured work."),
      key("schedule.work_min", FL_CONFIG_MEMBER(scheduler.work.least))
          .in(above_to(0, 1))
          .says("The least that schedule.adaptive_work gives, as a share of the configured work."),
      key("schedule.work_max", FL_CONFIG_MEMBER(scheduler.work.most))
          .in(at_least(1))
          .says("The most that schedule.adaptive_work gives, in times of the configured work."),
      key("schedule.deadline_factor", FL_CONFIG_MEMBER(scheduler.work.deadline_factor))
          .in(at_least(0))
          .says("A client that is known loses its task after so many times what it was expected to take. 0: "
                "after "
                "schedule.task_timeout_s only."),
      key("schedule.accept_partial", FL_CONFIG_MEMBER(scheduler.work.accept_partial))
          .says("At the deadline that schedule.deadline_factor sets, a client sends what it has trained "
                "until then."),
      key("schedule.redundancy", FL_CONFIG_MEMBER(scheduler.redundancy))
          .in(between(1, 100))
          .says(
              "Tasks given for each answer needed, so that the slowest need not be waited for. Synchronous: "
              "of "
              "1.3 × clients.fraction × clients.count clients that are asked, rounded up, the first answers "
              "are taken and the rest is void; who is first depends on the clock, so the same seed no longer "
              "gives the same bytes. Asynchronous: each task is given to so many clients with the same data "
              "(see schedule.backup_tasks), rounded down, and the first answer counts."),
      key("schedule.backup_tasks", FL_CONFIG_MEMBER(scheduler.backup_tasks))
          .says(
              "Overdue tasks, at most at once, that are also given to an idle client with the same data: the "
              "same samples in the same order, as clients that share a data.part have. Base and random "
              "stream "
              "are the same, hence the result too; the first answer counts, the second is refused as "
              "duplicate_update. Clients say themselves what data they have. 0: none."),
      key("schedule.backup_after", FL_CONFIG_MEMBER(scheduler.backup_after))
          .in(at_least(1))
          .says("A task is overdue at so many times the median duration of the last answered tasks."),
      key("schedule.task_timeout_s", FL_CONFIG_MEMBER(scheduler.task_timeout))
          .in(at_least(0))
          .says("Seconds after which a task that was not answered is given to someone else. 0: never."),
      key("schedule.rejoin_s", FL_CONFIG_MEMBER(scheduler.rejoin))
          .in(at_least(0))
          .says("Seconds that a client which has vanished keeps its task, to come back and finish it."),
      key("evaluate.every", FL_CONFIG_MEMBER(evaluation.every))
          .says("Every so many versions are evaluated; the last one always is. 0: only the last."),
      key("evaluate.where", FL_CONFIG_MEMBER(given.evaluate_where))
          .one_of({"server", "clients"})
          .says("server: on the test set that the server has. clients: each client evaluates on samples it "
                "keeps from training, "
                "and the server weighs the answers, for where no pooled test set exists."),
      key("evaluate.validation_fraction", FL_CONFIG_MEMBER(given.validation_fraction))
          .in(inside(0, 1))
          .says("Share of its samples that a client keeps from training when evaluate.where = \"clients\"."),
  };
}

std::vector<ConfigKey> validate_keys() {
  return {
      key("validate.max_update_norm", FL_CONFIG_MEMBER(conduct.max_update_norm))
          .in(at_least(0))
          .says("An update with a larger L2 norm is refused (norm_too_large). What travels is measured: the "
                "delta, or with strategy.name = \"fedasync\" the client's whole model, so there the limit is "
                "to "
                "lie above the norm of the model itself. 0: no limit."),
      key("validate.strikes", FL_CONFIG_MEMBER(conduct.strikes))
          .says(
              "Offences after which a client is quarantined: its session ends, and its name is refused until "
              "`fl_actor_node pardon RUN_DIR NAME`. Offences are refusals that a client with sound data does "
              "not meet, whatever happens to its connection or lease: not_finite, wrong_length, "
              "layout_mismatch, bad_claim, corrupt_data, norm_too_large, flood. They are counted by name "
              "over "
              "the whole run, restarts included. 0: nobody is quarantined."),
      key("validate.max_requests_per_second", FL_CONFIG_MEMBER(conduct.max_requests_per_second))
          .in(at_least(0))
          .says(
              "Messages that one client may send an aggregator in a second, on average; twice as many at "
              "once. "
              "More are refused (flood), which is one offence for each second that it goes on. 0: no limit."),
  };
}

}  // namespace

std::vector<ConfigKey> learning_keys() {
  auto all = std::vector<ConfigKey>();
  for (auto& part : {train_keys(), strategy_keys(), exchange_keys(), validate_keys()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace fl
