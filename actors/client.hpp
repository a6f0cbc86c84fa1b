// clang-format off
// The client: a connection that comes and goes, and work that goes on meanwhile. Two small state machines:
//
//   connection                                   work
//
//   disconnected ──wire, backoff over──╮         idle ──Ready──▶ asking ──task──▶ fetching ──▶ training ──▶ delivering
//        ▲                             ▼           ▲               │                                          │
//        ├──session down,──────── connecting       ├──────wait─────╯                                          │
//        │  request failed             │ hello     ╰──────────────── receipt, refusal, revoke ────────────────╯
//        ╰──────────────────────── connected
//                                      │         A connection lost while fetching: back to idle; while training: go on;
//                                      ▼         while delivering: again when connected. A new session gets the lease
//                                  finished      with the answer to our Ready.
// clang-format on
#pragma once

#include <spdlog/common.h>

#include <deque>
#include <functional>
#include <optional>

#include "actors/actors.hpp"
#include "actors/chaos.hpp"
#include "actors/options.hpp"
#include "actors/shared_link.hpp"
#include "actors/training_desk.hpp"
#include "learning/random.hpp"

namespace fl {

struct ClientState {
  static inline const char* name = "client";

  enum class Connection : std::uint8_t { disconnected, connecting, connected, finished };
  enum class Work : std::uint8_t { idle, asking, fetching, training, delivering };

  local_client_actor::pointer self = nullptr;
  std::optional<ClientOptions> options;  ///< always there; made once, since its defaults cost something
  std::size_t index = 0;                 ///< of its trainer in Peers
  std::string id;                        ///< "client-2", for chaos
  ChaosPtr chaos;
  std::function<LayoutPtr()> layout_of;  ///< of models that come in chunks; in one process they come whole
  std::optional<RandomStream> random;
  PeersPtr peers;
  trainer_actor trainer;

  Connection connection = Connection::disconnected;
  std::uint32_t attempts = 0;  ///< to connect, since the last success
  std::optional<std::chrono::steady_clock::time_point> down_since;
  std::uint64_t life =
      0;  ///< counts connections, so that an answer of an earlier one is not taken for one of this
  gateway_actor gateway;
  session_actor session;
  Welcome welcome;
  std::optional<Ready> ready;  ///< the trainer is prepared

  Work work = Work::idle;
  std::uint64_t asks = 0;  ///< counts questions for work, so that only the newest is answered
  Task task;
  bool task_known = false;  ///< to this session: it has the lease
  ParametersPtr base;       ///< of the newest fetched version
  std::optional<Version> base_version;
  std::uint64_t base_hash = 0;  ///< of its parameters
  std::optional<ModelReceiver> receiver;
  std::optional<std::uint64_t> requested;  ///< bytes of the model asked for, while it is downloaded
  std::deque<PassagePtr> downloading;      ///< chunks on their way; a session answers in order
  std::shared_ptr<TrainingDesk> desk;      ///< of a client of a fleet, instead of a trainer
  TrainedUpdatePtr update;                 ///< finished, not yet acknowledged
  bool committed = false;        ///< the server has all of it and decides: only its receipt says how
  std::uint64_t deliveries = 0;  ///< counts attempts to deliver, so that only the newest is answered
  std::optional<std::uint64_t> upload_offset;  ///< bytes of it sent, while it is uploaded
  std::deque<PassagePtr> uploading;            ///< chunks on their way; a session answers in order
  std::uint32_t failures = 0;                  ///< tasks that could not be done, one after the other
  bool drops_out = false;                      ///< of the task at the desk
  bool nudged = false;                         ///< while asking
  ClientTally tally;

  explicit ClientState(local_client_actor::pointer actor) : self(actor) {}

  /// Of what is news to the owner of one client, and noise in a simulation of many.
  spdlog::level::level_enum news_level() const {
    return options->in_process ? spdlog::level::debug : spdlog::level::info;
  }

  // connection
  void on_wire(const PeersPtr& handles);
  void connect();
  void find_gateway();
  void introduce();
  Result<Proof> answer(const Challenge& challenge, const Nonce& nonce) const;
  void say_hello(const Proof& proof);
  void on_refused(const Error& reason);
  std::string why_not_reached(const Error& error) const;
  void take_up_spooled();
  void prepare();
  void on_connected();
  void disconnect(const Error& reason);
  /// How long to wait before the next attempt at something that failed so often.
  std::chrono::milliseconds pause_after(std::uint32_t failed_attempts);
  void finish(const std::string& reason);
  void fail(const Error& reason);

  // work
  void ask_for_work();
  void on_nudge();
  void ask_later(std::chrono::milliseconds pause);
  void on_assignment(const Assignment& answer);
  void begin(const Task& given);
  bool has_base() const;
  void set_base(ParametersPtr parameters, Version version, std::uint64_t hash);
  void forget_base();
  void fetch();
  void fetch_more();
  void fetch_next(const PassagePtr& passage);
  void on_fetched();
  void on_fetch_failed(const Error& reason);
  void train();
  void train_at_desk();
  void drop_out();
  void on_desk_time(TaskId of_task);
  void begin_errand(const Errand& errand);
  bool is_of_fleet() const { return desk != nullptr; }
  void on_trained(const TrainedUpdatePtr& trained);
  void deliver();
  void send_more();
  void send_next(const PassagePtr& passage);
  SharedLink::Grant when_free() const;
  void on_turn(const PassagePtr& passage);
  void stop_transfers();
  bool more_to_fetch() const { return requested && *requested < task.model_bytes; }
  bool more_to_send() const { return upload_offset && *upload_offset < update->blob->size(); }
  void on_delivery_failed(const Error& reason, bool refused);
  void commit();
  void on_no_receipt_yet(std::uint64_t delivery);
  void on_receipt(const Receipt& receipt);
  void leave_out(const TrainedUpdate& trained);
  LayoutPtr layout() const;
  ResidualPtr unsent();
  void lose_task();
  void take_back_unsent();
  void settle_residual(const Receipt& receipt);
  void drop_task();
  void abandon(const std::string& reason);
  void give_up_for_a_while(const Error& reason);
};

/// Why no gateway was reached, in words; `tls`: whether it was tried with TLS.
std::string why_no_gateway(const Error& error, bool tls);

/// `layout_of` is asked when a model is fetched in chunks: the layout of the trainer's model (null before it
/// is prepared).
local_client_actor::behavior_type client(local_client_actor::stateful_pointer<ClientState> self,
                                         ClientOptions options, std::size_t index,
                                         std::function<LayoutPtr()> layout_of, ChaosPtr chaos,
                                         std::uint64_t seed);

/// A client of a fleet: it does one errand (begin_atom) at the desk, and ends.
local_client_actor::behavior_type fleet_client(local_client_actor::stateful_pointer<ClientState> self,
                                               ClientOptions options, ClientId client,
                                               std::shared_ptr<TrainingDesk> desk, ChaosPtr chaos);

}  // namespace fl
