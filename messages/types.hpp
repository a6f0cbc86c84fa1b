// The values that clients and server exchange. No actors here, no torch.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "messages/as_bits.hpp"
#include "messages/bytes.hpp"
#include "messages/errors.hpp"
#include "messages/identity.hpp"
#include "messages/ids.hpp"
#include "messages/training.hpp"

namespace fl {

/// A client's first words.
struct Hello {
  std::uint32_t protocol_version = kProtocolVersion;
  std::string software_version;  ///< for the log only
  std::string name;              ///< unique in the federation: 1 to 64 of [A-Za-z0-9._-]
  Proof proof;                   ///< that it is who it says; empty when the client has no identity
};

/// How `data.*` is divided among the clients; see learning/data/partition.hpp.
struct PartitionSettings {
  std::string name = "iid";             ///< "iid" | "dirichlet" | "shards" | "quantity"
  double dirichlet_alpha = 0.5;         ///< concentration, > 0: smaller is more uneven
  std::uint32_t shards_per_client = 2;  ///< ≥ 1

  bool operator==(const PartitionSettings&) const = default;
};

/// What a client must know of the run; the aggregator decides it.
struct Welcome {
  ClientId client = 0;  ///< its index, bound to its name
  std::string run_id;   ///< names the run across restarts
  std::uint32_t clients_count = 0;
  std::uint64_t seed = 0;
  std::string model_name;                ///< "script-…": the TorchScript file with that hash
  std::uint64_t model_parameters = 0;    ///< for the model "flat"
  std::uint64_t layout_fingerprint = 0;  ///< the client checks its own model against it
  PartitionSettings partition;
  std::string update_content = "delta";  ///< "delta" or "model" (FedAsync)
  double validation_fraction = 0;        ///< of the client's data kept from training, to evaluate on
  bool changes_only = false;  ///< models travel as changes: a client begins from the version 0 that it can
                              ///< make from the seed, if it is the server's
  std::string loss = "cross_entropy";  ///< that training makes smaller: learning/loss_name.hpp
  std::string data_schema;  ///< what the clients' own data have to look like: learning/data/schema.hpp;
                            ///< empty: all have the same data, and each takes its part
};

/// A client that can take work says so, and what it has.
struct Ready {
  std::uint64_t samples = 0;  ///< it trains on
  std::uint64_t validation_samples = 0;
  std::vector<std::uint64_t> label_histogram;  ///< samples of each class; empty when there are none
  /// Of what it trains on: clients that say the same hold the same samples in the same order, so that one can
  /// do the other's work (schedule.backup_tasks). 0: like nobody else's.
  std::uint64_t data_fingerprint = 0;
  Version held = 0;             ///< version of the model that the client has, and
  std::uint64_t held_hash = 0;  ///< XXH3-64 of its parameters; 0: it has none
  /// Of each input of what it trains on, where the schema asks for it: learning/data/standardisation.hpp.
  std::vector<double> moments = {};
};

enum class TaskKind : std::uint8_t {
  train,     ///< train from the base and send the update
  evaluate,  ///< only evaluate the base on the client's own validation split
};

/// A lease: one client's permission and duty to work from one version until a deadline.
struct Task {
  TaskId id = 0;
  Epoch epoch = 0;
  ClientId client = 0;
  TaskKind kind = TaskKind::train;
  Version base = 0;
  ClientId owner = 0;           ///< whose work it is; another than `client` when a replica helps out
  TaskId work = 0;              ///< the owner's task; another than `id` when a replica helps out
  std::uint64_t stream = 0;     ///< names the task's random stream, with the run's seed and the owner
  bool evaluate_base = false;   ///< evaluate the base before training (evaluate.where = "clients")
  double deadline_seconds = 0;  ///< from receipt; the lease runs out then
  double stop_after_seconds =
      0;                        ///< from receipt: what is trained until about then is sent; 0: all is wanted
  std::uint64_t base_hash = 0;  ///< XXH3-64 of the base's parameters: a client that has them fetches nothing
  std::uint64_t model_bytes = 0;  ///< size of the blob that makes the base: whole, or of what the client held
  std::uint64_t model_hash = 0;   ///< XXH3-64 of that blob
  bool durable = false;  ///< the server keeps what it acknowledges, so the client keeps its update until then
  TrainingSettings training;
  UploadSettings upload;
  /// How the inputs are standardised, where the schema says so: learning/data/standardisation.hpp.
  std::vector<double> standardisation = {};
};

/// The server's answer to a client that is ready.
struct Assignment {
  enum class Kind : std::uint8_t {
    task,      ///< `task` is yours
    wait,      ///< nothing now; `reason` says why. Ask again when nudged, at the latest after retry_after_ms
    finished,  ///< the run is over
  };
  Kind kind = Kind::wait;
  Task task;
  std::string reason;
  std::uint32_t retry_after_ms = 0;
};

/// What a client says of an update before it sends the bytes.
struct UploadOffer {
  TaskId task = 0;
  Epoch epoch = 0;
  std::uint64_t size_bytes = 0;  ///< of the encoded update
  std::uint64_t hash = 0;        ///< XXH3-64 over all of it
};

/// A piece of a model or an update.
struct Chunk {
  TaskId task = 0;
  std::uint64_t offset = 0;  ///< in bytes from the start of the blob
  Bytes bytes;
};

/// How the server decided on an update. A refusal is an answer, not a failure.
struct Receipt {
  TaskId task = 0;
  ec code = ec::none;  ///< none: accepted
  std::string text;    ///< why not
  std::uint64_t staleness = 0;
  double weight = 0;  ///< w_i as it was folded

  bool accepted() const { return code == ec::none; }
};

/// Quality of one version on held-out data.
struct Evaluation {
  Version version = 0;
  std::uint64_t samples = 0;
  double loss = 0;
  /// In [0, 1]: the share of labels that are right; of numbers, the share of their variance that is explained
  /// (R², 0 where it is negative).
  double accuracy = 0;
  /// By name: see learning/quality.hpp.
  std::map<std::string, double> metrics = {};
};

/// What an update says of itself, apart from its numbers.
struct UpdateInfo {
  TaskId task = 0;
  Epoch epoch = 0;
  ClientId client = 0;
  Version base = 0;
  std::uint64_t samples = 0;  ///< distinct samples trained on
  std::uint64_t steps = 0;
  double train_loss = 0;
  double train_seconds = 0;
  Evaluation base_evaluation;  ///< samples = 0: none was asked for
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Hello& x) {
  return f(x.protocol_version, x.software_version, x.name, x.proof);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, PartitionSettings& x) {
  return f(x.name, as_bits(x.dirichlet_alpha), x.shards_per_client);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Welcome& x) {
  return f(x.client, x.run_id, x.clients_count, x.seed, x.model_name, x.model_parameters,
           x.layout_fingerprint, x.partition, x.update_content, as_bits(x.validation_fraction),
           x.changes_only, x.loss, x.data_schema);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Ready& x) {
  return f(x.samples, x.validation_samples, x.label_histogram, x.data_fingerprint, x.held, x.held_hash,
           as_bits(x.moments));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Task& x) {
  return f(x.id, x.epoch, x.client, x.kind, x.base, x.owner, x.work, x.stream, x.evaluate_base,
           as_bits(x.deadline_seconds), as_bits(x.stop_after_seconds), x.base_hash, x.model_bytes,
           x.model_hash, x.durable, x.training, x.upload, as_bits(x.standardisation));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Assignment& x) {
  return f(x.kind, x.task, x.reason, x.retry_after_ms);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, UploadOffer& x) {
  return f(x.task, x.epoch, x.size_bytes, x.hash);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Chunk& x) {
  return f(x.task, x.offset, x.bytes);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Receipt& x) {
  return f(x.task, x.code, x.text, x.staleness, as_bits(x.weight));
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Evaluation& x) {
  return f(x.version, x.samples, as_bits(x.loss), as_bits(x.accuracy), as_bits(x.metrics));
}

}  // namespace fl
