// A client among fakes: a gateway that welcomes it, sessions and a trainer that do what the test says.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/client.hpp"
#include "tests/support/session_fixture.hpp"

namespace fl::test {

/// What a client said to its sessions, and what they answer.
struct ServerLog {
  std::vector<Hello> hellos;
  std::optional<Error> hello_refusal;
  std::vector<Introduction> introductions;
  std::function<Challenge(const Introduction&)> challenge = [](const Introduction&) { return Challenge(); };
  Welcome terms;
  int readies = 0;
  Assignment answer;    ///< to Ready
  bool silent = false;  ///< Ready and commit are not answered
  PublishedModelPtr model = model_of(3);
  std::size_t fetches = 0;
  std::vector<std::uint64_t> fetch_offsets;    ///< of the parts that were asked for
  std::uint64_t lose_fetch_from = UINT64_MAX;  ///< the session crashes instead of sending from here, once
  bool hello_lost = false;                     ///< the gateway ends instead of answering
  std::optional<Error> fetch_refusal;          ///< of the next part, once
  std::vector<std::pair<TaskId, ByteSourcePtr>> submitted;  ///< whole updates
  std::vector<UploadOffer> offers;
  std::optional<Error> offer_refusal;  ///< of the next one, once
  std::optional<Error> chunk_refusal;  ///< of all while it is set
  std::vector<std::byte> received;     ///< of an update in chunks
  std::size_t lose_after = SIZE_MAX;   ///< bytes; a session that has them crashes
  std::vector<TaskId> commits;
  std::vector<std::pair<TaskId, std::string>> abandoned;
  ec decision = ec::none;
};

/// What a trainer was asked, and how it answers: after `takes`, with a blob of the wanted size.
struct TrainerLog {
  int prepared = 0;
  std::optional<Error> prepare_refusal;
  bool prepare_silent = false;
  std::vector<Task> tasks;
  std::vector<ParametersPtr> bases;
  std::vector<TaskId> cancelled;
  std::chrono::seconds takes{10};
  std::optional<Error> refusal;
  std::size_t update_bytes = 100;
};

class ClientFixture {
 public:
  VirtualTime time;
  std::shared_ptr<ServerLog> server = std::make_shared<ServerLog>();
  std::shared_ptr<TrainerLog> trainer = std::make_shared<TrainerLog>();
  std::shared_ptr<NodeLog> node = std::make_shared<NodeLog>();
  Peers peers;
  ClientOptions options;
  LayoutPtr layout = small_layout();  ///< of models that come in chunks
  ChaosPtr chaos = std::make_shared<Chaos>();
  local_client_actor actor;
  caf::actor session;  ///< of the newest connection

  explicit ClientFixture(bool in_process = true);

  void new_gateway();
  void new_trainer();

  void start();
  void wire();

  /// What the next Ready is answered with.
  void give_task(TaskId id, Version base = 3);
  void give_nothing(std::uint32_t retry_after_ms = 60'000);
  void crash_session() { time.end(session, caf::exit_reason::kill); }
  ClientTallyPtr tally();
};

}  // namespace fl::test
