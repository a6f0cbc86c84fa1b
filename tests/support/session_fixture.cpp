#include "tests/support/session_fixture.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

namespace fl::test {

namespace {

client_actor::behavior_type listening_client(client_actor::pointer, std::shared_ptr<ClientLog> log) {
  return {
      [log](nudge_atom) { ++log->nudges; },
      [log](revoke_atom, TaskId task, const std::string&) { log->revoked.push_back(task); },
      [log](finish_atom, const std::string& reason) { log->finished.push_back(reason); },
  };
}

}  // namespace

client_actor spawn_listening_client(VirtualTime& time, std::shared_ptr<ClientLog> log) {
  return time.spawn(listening_client, std::move(log));
}

LeasePtr lease_of(TaskId task, ClientId client, Version base, TaskKind kind) {
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

ByteSourcePtr blob_for(const Task& task, float value) {
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

std::vector<std::byte> bytes_of(const ByteSource& source) {
  auto bytes = std::vector<std::byte>(source.size());
  REQUIRE(source.read(0, bytes));
  return bytes;
}

SessionFixture::SessionFixture() {
  gateway = time.spawn([](caf::event_based_actor*) -> caf::behavior { return {[](caf::ok_atom) {}}; });
  options.layout = small_layout();
  options.storage = storage;
  options.board = board;
  options.chaos = std::make_shared<Chaos>();
  start();
}

void SessionFixture::start() {
  actor = time.spawn(session, std::make_shared<const SessionOptions>(options), ClientId{2},
                     std::string("ward-2"), client, gateway, neighbours.handles());
  time.settle();
}

void SessionFixture::wire() {
  time.tell(actor, wire_atom_v, neighbours.handles());
}

Result<Assignment> SessionFixture::say(const Ready& ready) {
  return time.ask<Assignment>(actor, ready);
}

Awaited<Assignment> SessionFixture::send(const Ready& ready) {
  return time.request<Assignment>(actor, ready);
}

Task SessionFixture::begin(LeasePtr lease) {
  neighbours.scheduler->answer = std::move(lease);
  return say({10, 5, {4, 6}}).value().task;
}

Result<Receipt> SessionFixture::submit(const Task& task, ByteSourcePtr blob) {
  return time.ask<Receipt>(actor, submit_atom_v, task.id, task.epoch, std::move(blob));
}

Awaited<Receipt> SessionFixture::send(const Task& task, ByteSourcePtr blob) {
  return time.request<Receipt>(actor, submit_atom_v, task.id, task.epoch, std::move(blob));
}

Result<std::uint64_t> SessionFixture::offer(const UploadOffer& offer) {
  return time.ask<std::uint64_t>(actor, offer);
}

Result<std::uint64_t> SessionFixture::offer(const Task& task, std::span<const std::byte> blob) {
  return offer({task.id, task.epoch, blob.size(), hash_of(blob)});
}

Result<std::uint64_t> SessionFixture::chunk(const Task& task, std::span<const std::byte> blob,
                                            std::size_t offset, std::size_t length) {
  const auto part = blob.subspan(offset, length);
  return time.ask<std::uint64_t>(actor, Chunk{task.id, offset, Bytes(part)});
}

Result<Receipt> SessionFixture::commit(const Task& task) {
  return time.ask<Receipt>(actor, commit_atom_v, task.id);
}

Result<Chunk> SessionFixture::fetch(TaskId task, std::uint64_t offset, std::uint32_t length) {
  return time.ask<Chunk>(actor, fetch_atom_v, task, offset, length);
}

}  // namespace fl::test
