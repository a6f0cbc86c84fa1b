// The fleet: all clients of a simulation in virtual time. A client costs a row while it waits, and two actors
// while it works:
//
//   row ──lease──▶ session and client: fetch, train at a desk, deliver ──receipt, refusal, give-up──▶ row
//    ▲ │
//    │ ╰── its device goes: scheduler is told, client and session end
//    ╰──── its device comes: scheduler is told what it has
//
// Everything goes through the production client and session, but asking: the fleet has told the scheduler who
// would work, and the scheduler sends it the leases.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <unordered_map>
#include <vector>

#include "actors/actors.hpp"
#include "actors/chaos.hpp"
#include "actors/options.hpp"
#include "actors/session.hpp"
#include "actors/training_desk.hpp"
#include "learning/simulation/client_profile.hpp"

namespace fl {

/// What outlives a client's errands, and the fleet actor.
struct FleetRow {
  std::uint64_t held_hash = 0;  ///< of the version that the client has; 0: none
  Version held = 0;
  std::shared_ptr<ResidualStore> residuals;  ///< null: nothing is left from earlier updates
};
using FleetRows = std::shared_ptr<std::vector<FleetRow>>;

struct FleetOptions {
  SessionOptionsPtr session;
  ClientOptions client;  ///< but for name and residuals
  Welcome terms;
  DeskOptions desk;
  std::vector<ClientProfile> profiles;  ///< by client
  /// The model and the data of a client. Asked at its first task.
  std::function<TrainingMeans(ClientId)> means;
  /// What a client says of itself when it comes.
  std::function<Ready(ClientId)> ready;
  bool keeps_residuals = false;  ///< clients do: see fl::keeps_residual
  Seconds time_before{0};        ///< of the run, in earlier lives of the process
  ChaosPtr chaos;
};

struct FleetState {
  static inline const char* name = "fleet";
  using TimePoint = AheadPool::TimePoint;

  /// A client with its lease.
  struct Active {
    local_client_actor client;
    local_session_actor session;
    LeasePtr lease;
  };

  /// When a device comes or goes.
  struct Change {
    double at_s;
    ClientId client;
    bool online;
    bool operator>(const Change& other) const {
      return at_s != other.at_s ? at_s > other.at_s : client > other.client;
    }
  };

  fleet_actor::pointer self = nullptr;
  FleetOptions options;
  FleetRows rows;
  PeersPtr peers;
  TimePoint begun;
  bool over = false;
  std::vector<bool> online;
  std::priority_queue<Change, std::vector<Change>, std::greater<>> changes;
  std::unordered_map<ClientId, Active> active;
  std::unordered_map<caf::actor_id, ClientId> clients;  ///< those that live
  std::unordered_map<ClientId, LeasePtr> early;  ///< leases of clients whose last errand has not ended yet

  explicit FleetState(fleet_actor::pointer actor) : self(actor) {}
  /// Its clients and sessions end with it.
  ~FleetState();

  double time_s() const;
  void on_wire(const PeersPtr& handles);
  void come_and_go();
  void schedule_change(ClientId client, double after_s);
  void attend();
  void tell(Attendance attendance);
  void begin(const LeasePtr& lease);
  void on_down(const caf::down_msg& down);
  void lose(ClientId client, const Task& task, const std::string& reason);
};

fleet_actor::behavior_type fleet(fleet_actor::stateful_pointer<FleetState> self, FleetOptions options,
                                 FleetRows rows);

}  // namespace fl
