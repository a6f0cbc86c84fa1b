#include "tests/support/client_fixture.hpp"

#include <algorithm>

namespace fl::test {

namespace {

local_session_actor::behavior_type scripted_session(local_session_actor::pointer self,
                                                    std::shared_ptr<ServerLog> log) {
  return {
      [=](const Ready&) -> caf::result<Assignment> {
        ++log->readies;
        if (log->silent) return self->make_response_promise<Assignment>();
        return log->answer;
      },
      [=](fetch_atom, TaskId task, std::uint64_t offset, std::uint32_t length) -> caf::result<Chunk> {
        ++log->fetches;
        if (const auto refusal = std::exchange(log->fetch_refusal, {})) return to_caf(*refusal);
        if (offset >= log->lose_fetch_from) {
          log->lose_fetch_from = UINT64_MAX;
          self->quit(caf::exit_reason::kill);
          return self->make_response_promise<Chunk>();
        }
        log->fetch_offsets.push_back(offset);
        const auto left = log->model->size() - offset;
        return Chunk{task, offset, log->model->part(offset, std::min<std::uint64_t>(length, left)).value()};
      },
      [=](const UploadOffer& offer) -> caf::result<std::uint64_t> {
        log->offers.push_back(offer);
        if (const auto refusal = std::exchange(log->offer_refusal, {})) return to_caf(*refusal);
        return log->received.size();
      },
      [=](const Chunk& chunk) -> caf::result<std::uint64_t> {
        if (log->chunk_refusal) return to_caf(*log->chunk_refusal);
        const auto bytes = chunk.bytes.view();
        if (chunk.offset == log->received.size())
          log->received.insert(log->received.end(), bytes.begin(), bytes.end());
        if (log->received.size() >= log->lose_after) {
          log->lose_after = SIZE_MAX;
          self->quit(caf::exit_reason::kill);
        }
        return log->received.size();
      },
      [=](commit_atom, TaskId task) -> caf::result<Receipt> {
        log->commits.push_back(task);
        if (log->silent) return self->make_response_promise<Receipt>();
        return Receipt{task, log->decision, "", 0, 1};
      },
      [=](abandon_atom, TaskId task, const std::string& reason) {
        log->abandoned.emplace_back(task, reason);
      },
      [=](fetch_atom, TaskId) -> caf::result<PublishedModelPtr> {
        ++log->fetches;
        if (const auto refusal = std::exchange(log->fetch_refusal, {})) return to_caf(*refusal);
        return log->model;
      },
      [=](submit_atom, TaskId task, Epoch, const ByteSourcePtr& blob) -> caf::result<Receipt> {
        log->submitted.emplace_back(task, blob);
        if (log->silent) return self->make_response_promise<Receipt>();
        return Receipt{task, log->decision, "", 0, 1};
      },
      [](nudge_atom) {},
      [](revoke_atom, TaskId, const std::string&) {},
      [](finish_atom, const std::string&) {},
      [](wire_atom, const PeersPtr&) {},
  };
}

trainer_actor::behavior_type scripted_trainer(
    trainer_actor::stateful_pointer<caf::typed_response_promise<TrainedUpdatePtr>> self,
    std::shared_ptr<TrainerLog> log) {
  return {
      [=](prepare_atom, const Welcome&) -> caf::result<Ready> {
        ++log->prepared;
        if (log->prepare_silent) return self->make_response_promise<Ready>();
        if (log->prepare_refusal) return to_caf(*log->prepare_refusal);
        return Ready{10, 5, {}};
      },
      [=](train_atom, const Task& task, const ParametersPtr& base,
          const ResidualPtr&) -> caf::result<TrainedUpdatePtr> {
        log->tasks.push_back(task);
        log->bases.push_back(base);
        if (log->refusal) return to_caf(*log->refusal);
        self->state = self->make_response_promise<TrainedUpdatePtr>();
        self->delayed_send(self, log->takes, caf::ok_atom_v, task.id);
        return self->state;
      },
      [=](cancel_atom, TaskId task) {
        log->cancelled.push_back(task);
        if (self->state.pending()) self->state.deliver(to_caf({ec::cancelled, "the task was cancelled"}));
      },
      [](caf::tick_atom, TaskId, const std::string&) {},
      [=](caf::ok_atom, TaskId task) {
        if (task != log->tasks.back().id) return;  // one that was cancelled
        auto buffer = AlignedBuffer(log->update_bytes);
        for (auto i = std::size_t{0}; i < buffer.size(); ++i)
          buffer.data()[i] = static_cast<std::byte>(i * 7);
        if (self->state.pending())
          self->state.deliver(TrainedUpdatePtr(std::make_shared<const TrainedUpdate>(
              TrainedUpdate{{}, std::make_shared<const MemorySource>(std::move(buffer))})));
      },
  };
}

}  // namespace

ClientFixture::ClientFixture(bool in_process) {
  server->terms.run_id = "run";
  server->terms.client = 2;
  options.name = "ward-2";
  options.in_process = in_process;
  peers.node = spawn_fake_node(time, node);
  new_trainer();
  new_gateway();
}

void ClientFixture::new_gateway() {
  peers.gateway = time.spawn([this](gateway_actor::pointer self) {
    return gateway_actor::behavior_type{
        [this, self](const Hello& hello, const caf::actor&) -> caf::result<Welcome, caf::actor> {
          server->hellos.push_back(hello);
          if (server->hello_lost) {
            self->quit(caf::exit_reason::kill);
            return self->make_response_promise<Welcome, caf::actor>();
          }
          if (server->hello_refusal) return to_caf(*server->hello_refusal);
          session = caf::actor_cast<caf::actor>(time.spawn(scripted_session, server));
          return {server->terms, session};
        },
        [](status_atom) { return RunStatus(); },
        [this](const Introduction& introduction, const caf::actor&) -> caf::result<Challenge> {
          server->introductions.push_back(introduction);
          return server->challenge(introduction);
        },
        [](stop_atom, const Proof&, const caf::actor&) { return std::string(); },
        [](const AllowListPtr&) {},
        [](wire_atom, const PeersPtr&) {},
    };
  });
}

void ClientFixture::new_trainer() {
  peers.trainers = {time.spawn(scripted_trainer, trainer)};
}

void ClientFixture::start() {
  actor = time.spawn(client, options, std::size_t{0},
                     std::function<LayoutPtr()>([expected = layout] { return expected; }), chaos,
                     std::uint64_t{1});
  wire();
}

void ClientFixture::wire() {
  time.tell(actor, wire_atom_v, std::make_shared<const Peers>(peers));
}

void ClientFixture::give_task(TaskId id, Version base) {
  server->model = model_of(base);
  server->answer = lease_of(id, 2, base)->assignment;
}

void ClientFixture::give_nothing(std::uint32_t retry_after_ms) {
  server->answer = Assignment();
  server->answer.reason = "the next version";
  server->answer.retry_after_ms = retry_after_ms;
}

ClientTallyPtr ClientFixture::tally() {
  return time.ask<ClientTallyPtr>(actor, status_atom_v).value();
}

}  // namespace fl::test
