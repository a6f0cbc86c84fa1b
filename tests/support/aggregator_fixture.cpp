#include "tests/support/aggregator_fixture.hpp"

#include <algorithm>

#include "actors/checkpointer.hpp"

namespace fl::test {

ValidUpdatePtr update_of(TaskId task, ClientId client, Version base, float value, std::uint64_t samples) {
  auto update = ValidUpdate();
  update.info.task = task;
  update.info.epoch = 1;
  update.info.client = client;
  update.info.base = base;
  update.info.samples = samples;
  update.info.train_loss = 0.5;
  update.owner = client;
  update.work = task;
  auto blob = make_update_blob(update.info, *small_layout(), false);
  std::ranges::fill(blob.values(), value);
  update.payload = {std::make_shared<const MemorySource>(std::move(blob.buffer)), blob.payload_offset,
                    small_layout()->size()};
  return std::make_shared<const ValidUpdate>(std::move(update));
}

AggregatorOptions async_options() {
  auto options = AggregatorOptions();
  options.strategy.name = StrategyName::fedavg_async;
  options.strategy.buffer_size = 1;
  options.initial = [] { return Parameters::zeros(small_layout()); };
  return options;
}

AggregatorFixture::AggregatorFixture(AggregatorOptions given, Checkpointer checkpointer_kind,
                                     std::shared_ptr<MemoryStorage> stored)
    : storage(std::move(stored)), options(std::move(given)) {
  if (checkpointer_kind == Checkpointer::real) {
    spawn_checkpointer();
  } else {
    neighbours.peers.checkpointer = time.spawn([this](checkpointer_actor::pointer self) {
      auto open = std::make_shared<caf::typed_response_promise<Version>>();
      return checkpointer_actor::behavior_type{
          [](restore_atom) { return RecoveredPtr(); },
          [](lease_atom, const Task&) {},
          [](save_atom, const MeasuresPtr&) {},
          [this, self, open](save_atom, const SaveRequestPtr& request) {
            saves.push_back(request);
            return *open = self->make_response_promise<Version>();
          },
          // An aggregator has one save under way; the test's word ends it.
          [this, open](wire_atom, const PeersPtr&) { open->deliver(saves.back()->version); },
      };
    });
  }
  start();
}

void AggregatorFixture::start() {
  spawn();
  wire();
}

void AggregatorFixture::spawn() {
  actor = time.spawn(aggregator, options, chaos);
  neighbours.peers.aggregator = actor;
}

void AggregatorFixture::spawn_checkpointer(ChaosPtr crashes) {
  const auto recovery =
      CheckpointerOptions{small_layout(), options.strategy, options.optimizer, options.initial};
  neighbours.peers.checkpointer =
      time.spawn(checkpointer, recovery, RunStoragePtr(storage), std::move(crashes));
}

void AggregatorFixture::wire() {
  time.tell(actor, wire_atom_v, neighbours.handles());
}

void AggregatorFixture::live(std::uint32_t clients) {
  time.tell(actor, live_atom_v, clients);
}

Result<Receipt> AggregatorFixture::submit(const ValidUpdatePtr& update) {
  return time.ask<Receipt>(actor, submit_atom_v, update);
}

Awaited<Receipt> AggregatorFixture::send(const ValidUpdatePtr& update) {
  return time.request<Receipt>(actor, submit_atom_v, update);
}

Awaited<Receipt> AggregatorFixture::ask_receipt(ClientId client, TaskId task) {
  return time.request<Receipt>(actor, receipt_atom_v, client, task);
}

Result<PublicationPtr> AggregatorFixture::stop(const std::string& reason) {
  return time.ask<PublicationPtr>(actor, stop_atom_v, reason);
}

Awaited<PublicationPtr> AggregatorFixture::begin_stop(const std::string& reason) {
  return time.request<PublicationPtr>(actor, stop_atom_v, reason);
}

void AggregatorFixture::open_cohort(Version version, std::vector<TaskId> tasks, std::size_t wanted) {
  time.tell(actor, cohort_atom_v, std::make_shared<const Cohort>(Cohort{version, std::move(tasks), wanted}));
}

void AggregatorFixture::lose(TaskId task) {
  time.tell(actor, lost_atom_v, task);
}

void AggregatorFixture::answer_save() {
  time.tell(neighbours.peers.checkpointer, wire_atom_v, neighbours.handles());
}

}  // namespace fl::test
