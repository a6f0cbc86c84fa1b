// A session: one connected client on the server. It receives, decodes and checks what its client sends, so
// that a bad client costs its own session and nothing else. It ends when its client or the gateway does.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "actors/actors.hpp"
#include "actors/chaos.hpp"
#include "actors/conduct.hpp"
#include "actors/run_board.hpp"
#include "actors/upload.hpp"
#include "learning/data/standardisation.hpp"

namespace fl {

struct SessionOptions {
  LayoutPtr layout;
  bool whole_model = false;  ///< clients send their model (FedAsync)
  bool evaluate_on_clients = false;
  std::string transfer_folder;   ///< uploads in progress; empty: in memory
  bool durable_updates = false;  ///< uploads have names, to go on after a restart; resent ones are recognised
  SurveyPtr survey;              ///< of the clients' inputs, where these are to be standardised; else null
  DownloadsPtr downloads = std::make_shared<Downloads>();  ///< how models travel
  ConductOptions conduct;
  std::uint64_t max_model_bytes = 0;  ///< a larger upload is refused; 0: no limit beyond what the model needs
  RunStoragePtr storage;
  RunBoardPtr board = std::make_shared<RunBoard>();
  ChaosPtr chaos;
};

/// All sessions of a run share them.
using SessionOptionsPtr = std::shared_ptr<const SessionOptions>;

struct SessionState {
  static inline const char* name = "session";

  local_session_actor::pointer self = nullptr;
  SessionOptionsPtr options;
  ClientId client = 0;
  std::string client_name;
  client_actor handle;
  PeersPtr peers;
  LeasePtr lease;                                      ///< null: none; its model until the client has it
  Download download;                                   ///< what the client fetches of that model
  std::optional<Ready> ready;                          ///< what the client said last
  caf::typed_response_promise<Assignment> assignment;  ///< pending while the scheduler is asked
  std::optional<Upload> upload;
  std::optional<UploadOffer> taking;     ///< the upload that is being taken
  std::optional<std::uint64_t> offered;  ///< hash of the newest offer for this lease
  std::uint32_t offers = 0;              ///< different ones, for this lease
  std::uint64_t fetched_bytes = 0;       ///< of this lease's base
  bool offered_before = false;           ///< in this session
  ValidUpdatePtr submitting;             ///< handed to the aggregator, not decided yet
  std::uint32_t submissions = 0;         ///< of it
  std::chrono::steady_clock::time_point leased_at;
  caf::typed_response_promise<Receipt> receipt;
  FloodGuard flood{0};
  LogLimit refusals;
  bool told_to_wait = false;  ///< for the survey; said once in the log
  bool one_lease = false;     ///< of a client of a fleet: ends with its lease

  explicit SessionState(local_session_actor::pointer actor) : self(actor) {}

  void on_wire(const PeersPtr& handles);
  Result<void> admit();
  Error object(TaskId task, Error error);
  void punish(Error& error);
  void log_refusal(std::string_view what, const Error& error);
  void ask_scheduler();
  void ask_to_wait(const std::string& why);
  void on_lease(const LeasePtr& given);
  Result<void> check_lease(TaskId task) const;
  Result<PublishedModelPtr> model_of(TaskId task);
  Result<void> prepare(Task& task, const Lease& given);
  void on_fetched();
  void give_up(TaskId task, const std::string& reason);
  Result<void> check_offer(const UploadOffer& offer);
  Result<std::uint64_t> begin_upload(const UploadOffer& offer);
  Result<std::uint64_t> add_chunk(const Chunk& chunk);
  Result<Chunk> fetch(TaskId task, std::uint64_t offset, std::uint32_t length);
  Result<void> declare(const Ready& said);
  void drop_upload();
  caf::typed_response_promise<Receipt> take(TaskId task, Result<ByteSourcePtr> blob);
  void submit();
  void ask_receipt(TaskId task);
  void decide(const Receipt& decision);
  void tell_no_room(TaskId task);
  void refuse(TaskId task, const Error& error);
  void end_with_lease();
  void report(const UpdateRecord& record);
};

local_session_actor::behavior_type session(local_session_actor::stateful_pointer<SessionState> self,
                                           SessionOptionsPtr options, ClientId client,
                                           std::string client_name, client_actor handle, caf::actor gateway,
                                           PeersPtr peers);

/// What a fleet knows of a client that it gives a session.
struct FleetMember {
  ClientId client = 0;
  std::string name;
  client_actor handle;
  LeasePtr lease;  ///< its model has been handed on
  std::uint64_t samples = 0;
  std::uint64_t validation_samples = 0;
  std::chrono::steady_clock::time_point leased_at;
};

/// A session for one lease, which it ends with.
local_session_actor::behavior_type fleet_session(local_session_actor::stateful_pointer<SessionState> self,
                                                 SessionOptionsPtr options, FleetMember member,
                                                 PeersPtr peers);

/// What a client that holds a version (`held_hash` 0: none) has to fetch of a task's model; the task says so
/// then. Fails when the model cannot be read.
Result<Download> prepare_download(Downloads& downloads, const PublishedModelPtr& model, Version held,
                                  std::uint64_t held_hash, Task& task);

}  // namespace fl
