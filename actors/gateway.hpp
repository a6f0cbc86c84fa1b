// The gateway: the only published actor. It checks who comes and spawns a session for each; sessions end with
// it.
#pragma once

#include <map>
#include <set>
#include <string>

#include "actors/actors.hpp"
#include "actors/session.hpp"

namespace fl {

struct GatewayState {
  static inline const char* name = "gateway";

  struct Connected {
    std::string client_name;
    local_session_actor session;
    caf::actor_addr client;
    std::optional<PublicKey> key;  ///< that it proved to have; none: nobody asked
    FloodGuard hellos;
  };

  gateway_actor::pointer self = nullptr;
  Welcome terms;  ///< of the run; `client` is filled in for each
  SessionOptionsPtr session;
  Admission admission{AdmissionOptions()};
  PeersPtr peers;
  std::map<ClientId, Connected> connected;
  std::set<std::string> turned_away;  ///< clients that came and are quarantined
  LogLimit refusals;

  explicit GatewayState(gateway_actor::pointer actor) : self(actor) {}

  caf::result<Welcome, caf::actor> welcome(const Hello& hello, const caf::actor& client);
  Result<FloodGuard> check_conduct(const Hello& hello, const caf::actor& client);
  void turn_away(const std::string& client);
  void log_refusal(const std::string& text);
  void on_down(const caf::down_msg& down);
  void allow(const AllowListPtr& allowed);
  Admission::Ends ends_of(const caf::actor& client) const;
};

gateway_actor::behavior_type gateway(gateway_actor::stateful_pointer<GatewayState> self, Welcome terms,
                                     SessionOptions session, AdmissionOptions admission);

}  // namespace fl
