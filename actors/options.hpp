// Settings of the actors. Each struct says what its actor needs; only runtime/config knows the file format.
// (SchedulerOptions are beside the lease book.)
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/actors.hpp"
#include "actors/shared_link.hpp"
#include "learning/compression/residual.hpp"
#include "learning/selection/lease_book.hpp"

namespace fl {

/// When a run ends: at the first goal that is reached. 0 means no limit.
struct GoalOptions {
  Version max_versions = 10;
  std::uint64_t max_updates = 0;
  Seconds max_seconds{0};      ///< since the start, summed over resumes
  double target_accuracy = 0;  ///< in [0, 1]
};

/// Where and how often versions are evaluated.
struct EvaluationOptions {
  std::uint64_t every = 1;  ///< versions; 0: only the last
  bool on_clients = false;  ///< evaluate.where = "clients"
};

/// How crashed actors come back (see actors/restart_policy.hpp).
struct SupervisionOptions {
  std::uint32_t max_restarts = 5;  ///< of one actor within `period`; more ends the run
  Seconds period{60};
  std::chrono::milliseconds backoff_min{100};  ///< before the first restart; doubles each time
  std::chrono::milliseconds backoff_max{10'000};
  double jitter = 0.2;                     ///< the wait varies by this share, in [0, 1)
  std::chrono::milliseconds grace{5'000};  ///< for an actor to stop by itself before it is killed
};

/// Where a client keeps its finished update until the server has it. Every call blocks until it is done.
class ClientSpool {
 public:
  virtual ~ClientSpool() = default;
  /// Whether to keep updates also for servers that do not keep what they acknowledge.
  virtual bool always() const = 0;
  /// Instead of the one before.
  virtual Result<void> save(const std::string& run_id, const TrainedUpdate& update) = 0;
  /// Of this run; none when there is none that is whole.
  virtual std::optional<TrainedUpdate> load(const std::string& run_id) = 0;
  virtual void clear() = 0;
};

/// How a client proves who it is, and whom it trusts.
struct ClientIdentity {
  std::optional<SigningKey> key;        ///< none: it cannot prove its name
  std::optional<PublicKey> aggregator;  ///< the only one it talks to; none: any
};

/// One client.
struct ClientOptions {
  std::string name;        ///< unique in the federation
  bool in_process = true;  ///< models and updates are shared by pointer, not sent in chunks
  std::string host;        ///< of the aggregator, when not in_process
  std::uint16_t port = 4242;
  bool tls = false;  ///< connect with CAF's OpenSSL module, which must be loaded
  ClientIdentity identity;
  std::function<std::string()> why_unreachable;  ///< what the transport found out meanwhile; may be empty
  double speed = 1;    ///< multiplies the task's time: 10 takes ten times as long; on the real clock the
                       ///< difference is waited
  double dropout = 0;  ///< probability that a task is given up, in [0, 1)
  std::chrono::milliseconds request_timeout{60'000};  ///< for one answer of the server
  Seconds reconnect{0};                               ///< how long to keep trying to connect; 0: for ever
  std::chrono::milliseconds backoff_min{200};
  std::chrono::milliseconds backoff_max{15'000};
  /// Version 0 of a run with this seed, which need not be fetched; may be empty. Asked when the trainer is
  /// prepared.
  std::function<ParametersPtr(std::uint64_t seed)> initial_model;
  std::shared_ptr<ClientSpool> spool;  ///< null: a finished update does not outlive the process
  std::shared_ptr<ResidualStore> residuals = std::make_shared<MemoryResiduals>();  ///< of this client alone
  /// Of the process: copies of these options share them.
  SharedLinkPtr downlink = std::make_shared<SharedLink>();
  SharedLinkPtr uplink = std::make_shared<SharedLink>();
};

}  // namespace fl
