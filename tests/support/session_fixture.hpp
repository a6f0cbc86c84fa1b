// A session among fakes, and a client that only listens.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

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

client_actor spawn_listening_client(VirtualTime& time, std::shared_ptr<ClientLog> log);

/// A lease of one task from `base`.
LeasePtr lease_of(TaskId task, ClientId client, Version base, TaskKind kind = TaskKind::train);

/// The encoded update that answers such a lease.
ByteSourcePtr blob_for(const Task& task, float value = 1);

std::vector<std::byte> bytes_of(const ByteSource& source);

class SessionFixture {
 public:
  VirtualTime time;
  Neighbours neighbours{time};
  std::shared_ptr<MemoryStorage> storage = std::make_shared<MemoryStorage>();
  RunBoardPtr board = std::make_shared<RunBoard>();
  std::shared_ptr<ClientLog> client_log = std::make_shared<ClientLog>();
  client_actor client = spawn_listening_client(time, client_log);
  caf::actor gateway;
  SessionOptions options;
  local_session_actor actor;

  SessionFixture();

  void start();
  void wire();

  /// The client says that it is ready.
  Result<Assignment> say(const Ready& ready);
  /// As say(), but the answer may take time.
  Awaited<Assignment> send(const Ready& ready);
  /// The client says that it is ready and is given this lease.
  Task begin(LeasePtr lease = lease_of(7, 2, 3));

  /// A whole update, of a client of the same process.
  Result<Receipt> submit(const Task& task, ByteSourcePtr blob);
  Awaited<Receipt> send(const Task& task, ByteSourcePtr blob);

  /// An update in chunks.
  Result<std::uint64_t> offer(const UploadOffer& offer);
  Result<std::uint64_t> offer(const Task& task, std::span<const std::byte> blob);
  Result<std::uint64_t> chunk(const Task& task, std::span<const std::byte> blob, std::size_t offset,
                              std::size_t length);
  Result<Receipt> commit(const Task& task);

  /// A part of a model.
  Result<Chunk> fetch(TaskId task, std::uint64_t offset, std::uint32_t length);
};

}  // namespace fl::test
