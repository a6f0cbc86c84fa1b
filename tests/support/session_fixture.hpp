// A session among fakes, and a client that only listens.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/gateway.hpp"
#include "actors/session.hpp"
#include "tests/support/fake_neighbours.hpp"
#include "tests/support/lease_book_fixture.hpp"
#include "tests/support/memory_storage.hpp"

namespace fl::test {

/// What a client was told by its session.
struct ClientLog {
  int nudges = 0;
  std::vector<TaskId> revoked;
  std::vector<std::string> finished;
};

inline client_actor::behavior_type listening_client(client_actor::pointer, std::shared_ptr<ClientLog> log) {
  return {
      [log](nudge_atom) { ++log->nudges; },
      [log](revoke_atom, TaskId task, const std::string&) { log->revoked.push_back(task); },
      [log](finish_atom, const std::string& reason) { log->finished.push_back(reason); },
  };
}

/// A lease of one task from `base`.
inline LeasePtr lease_of(TaskId task, ClientId client, Version base, TaskKind kind = TaskKind::train) {
  auto lease = Lease();
  lease.model = model_of(base);
  lease.assignment.kind = Assignment::Kind::task;
  lease.assignment.task.id = task;
  lease.assignment.task.epoch = 1;
  lease.assignment.task.client = client;
  lease.assignment.task.owner = client;
  lease.assignment.task.work = task;
  lease.assignment.task.base = base;
  lease.assignment.task.kind = kind;
  lease.assignment.task.model_bytes = lease.model->size();
  return std::make_shared<const Lease>(std::move(lease));
}

/// The encoded update that answers such a lease.
inline ByteSourcePtr blob_for(const Task& task, float value = 1) {
  auto info = UpdateInfo();
  info.task = task.id;
  info.epoch = task.epoch;
  info.client = task.client;
  info.base = task.base;
  info.samples = 10;
  auto blob = make_update_blob(info, *small_layout(), false);
  std::ranges::fill(blob.values(), value);
  return std::make_shared<const MemorySource>(std::move(blob.buffer));
}

inline std::vector<std::byte> bytes_of(const ByteSource& source) {
  auto bytes = std::vector<std::byte>(source.size());
  REQUIRE(source.read(0, bytes));
  return bytes;
}

class SessionFixture {
 public:
  VirtualTime time;
  Neighbours neighbours{time};
  std::shared_ptr<MemoryStorage> storage = std::make_shared<MemoryStorage>();
  std::shared_ptr<ClientLog> client_log = std::make_shared<ClientLog>();
  client_actor client = time.spawn(listening_client, client_log);
  caf::actor gateway =
      time.spawn([](caf::event_based_actor*) -> caf::behavior { return {[](caf::ok_atom) {}}; });
  SessionOptions options;
  local_session_actor actor;

  SessionFixture() {
    options.layout = small_layout();
    options.storage = storage;
    options.chaos = std::make_shared<Chaos>();
    start();
  }

  void start() {
    actor = time.spawn(session, options, ClientId{2}, std::string("ward-2"), client, gateway,
                       neighbours.handles());
    time.settle();
  }
  void wire() { time.tell(actor, wire_atom_v, neighbours.handles()); }

  /// The client says that it is ready and is given this lease.
  Task begin(LeasePtr lease = lease_of(7, 2, 3)) {
    neighbours.scheduler->answer = std::move(lease);
    return time.ask<Assignment>(actor, Ready{10, 5, {4, 6}}).value().task;
  }

  Result<std::uint64_t> offer(const Task& task, std::span<const std::byte> blob) {
    return time.ask<std::uint64_t>(actor, UploadOffer{task.id, task.epoch, blob.size(), hash_of(blob)});
  }
  Result<std::uint64_t> chunk(const Task& task, std::span<const std::byte> blob, std::size_t offset,
                              std::size_t length) {
    const auto part = blob.subspan(offset, length);
    return time.ask<std::uint64_t>(actor, Chunk{task.id, offset, Bytes(part)});
  }
  Result<Receipt> commit(const Task& task) { return time.ask<Receipt>(actor, commit_atom_v, task.id); }
};

}  // namespace fl::test
