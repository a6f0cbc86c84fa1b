// An aggregator among fakes, and updates for it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "actors/aggregator.hpp"
#include "tests/support/fake_neighbours.hpp"
#include "tests/support/memory_storage.hpp"
#include "tests/support/small_state.hpp"

namespace fl::test {

/// A checked update whose numbers are all `value`.
ValidUpdatePtr update_of(TaskId task, ClientId client, Version base, float value = 1,
                         std::uint64_t samples = 10);

/// Every update of a client makes a version; the model begins with zeros.
AggregatorOptions async_options();

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
                             std::shared_ptr<MemoryStorage> stored = std::make_shared<MemoryStorage>());

  /// Starts an aggregator: the first, or another after a crash.
  void start();
  /// As start(), but the new aggregator hears of nobody yet.
  void spawn();
  /// A real checkpointer, the first or another; it is not told to anybody.
  void spawn_checkpointer(ChaosPtr crashes = std::make_shared<Chaos>());

  void wire();
  void live(std::uint32_t clients);

  Result<Receipt> submit(const ValidUpdatePtr& update);
  /// An update whose receipt may take time.
  Awaited<Receipt> send(const ValidUpdatePtr& update);

  /// A client asks again for the receipt of a task.
  Awaited<Receipt> ask_receipt(ClientId client, TaskId task);

  Result<PublicationPtr> stop(const std::string& reason);
  Awaited<PublicationPtr> begin_stop(const std::string& reason);

  void open_cohort(Version version, std::vector<TaskId> tasks, std::size_t wanted = 0);
  void lose(TaskId task);

  /// The save that the fake checkpointer was asked for is done.
  void answer_save();

  /// Of the newest model that the evaluator was told of: all versions are.
  PublishedModelPtr model() const { return neighbours.evaluator->publications.back()->model; }
  Version version() const { return model()->version(); }
  double model_value() const { return model()->parameters().value()->values()[0]; }
};

}  // namespace fl::test
