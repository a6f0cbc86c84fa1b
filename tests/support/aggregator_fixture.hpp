// An aggregator among fakes, and updates for it.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "actors/aggregator.hpp"
#include "actors/checkpointer.hpp"
#include "tests/support/fake_neighbours.hpp"
#include "tests/support/memory_storage.hpp"
#include "tests/support/small_state.hpp"

namespace fl::test {

/// A checked update whose numbers are all `value`.
inline ValidUpdatePtr update_of(TaskId task, ClientId client, Version base, float value = 1,
                                std::uint64_t samples = 10) {
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

/// Every update of a client makes a version; the model begins with zeros.
inline AggregatorOptions async_options() {
  auto options = AggregatorOptions();
  options.strategy.name = StrategyName::fedavg_async;
  options.strategy.buffer_size = 1;
  options.initial = [] { return Parameters::zeros(small_layout()); };
  return options;
}

class AggregatorFixture {
 public:
  enum class Checkpointer { real, fake };

  VirtualTime time;
  Neighbours neighbours{time};
  std::shared_ptr<MemoryStorage> storage;
  ChaosPtr chaos = std::make_shared<Chaos>();
  aggregator_actor actor;
  AggregatorOptions options;
  std::vector<SaveRequestPtr> saves;  ///< that the fake checkpointer was asked for

  explicit AggregatorFixture(AggregatorOptions given, Checkpointer checkpointer_kind = Checkpointer::real,
                             std::shared_ptr<MemoryStorage> stored = std::make_shared<MemoryStorage>())
      : storage(std::move(stored)), options(std::move(given)) {
    if (checkpointer_kind == Checkpointer::real) {
      neighbours.peers.checkpointer =
          time.spawn(checkpointer, recovery(), RunStoragePtr(storage), std::make_shared<Chaos>());
    } else {
      neighbours.peers.checkpointer = time.spawn([this](checkpointer_actor::pointer self) {
        auto open = std::make_shared<caf::typed_response_promise<Version>>();
        return checkpointer_actor::behavior_type{
            [](restore_atom) { return RecoveredPtr(); },
            [](lease_atom, const Task&) {},
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

  CheckpointerOptions recovery() const {
    return {small_layout(), options.strategy, options.optimizer, options.initial};
  }

  /// Starts an aggregator: the first, or another after a crash.
  void start() {
    actor = time.spawn(aggregator, options, chaos);
    neighbours.peers.aggregator = actor;
    wire();
  }

  void wire() { time.tell(actor, wire_atom_v, neighbours.handles()); }
  void live(std::uint32_t clients) { time.tell(actor, live_atom_v, clients); }

  Result<Receipt> submit(const ValidUpdatePtr& update) {
    return time.ask<Receipt>(actor, submit_atom_v, update);
  }

  void open_cohort(Version version, std::vector<TaskId> tasks) {
    time.tell(actor, cohort_atom_v, std::make_shared<const Cohort>(Cohort{version, std::move(tasks)}));
  }

  /// The save that the fake checkpointer was asked for is done.
  void answer_save() { time.tell(neighbours.peers.checkpointer, wire_atom_v, neighbours.handles()); }

  /// Of the newest model that the evaluator was told of: all versions are.
  PublishedModelPtr model() const { return neighbours.evaluator->publications.back()->model; }
  Version version() const { return model()->version(); }
  double model_value() const { return model()->parameters().value()->values()[0]; }
};

}  // namespace fl::test
