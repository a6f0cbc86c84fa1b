// How one dataset is divided among clients, for simulations and for nodes that hold the same files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "learning/data/dataset.hpp"
#include "messages/types.hpp"

namespace fl {

/// Every client's rows and class histogram.
struct Partition {
  std::vector<std::vector<std::uint32_t>> rows;              ///< [clients], disjoint, each ascending
  std::vector<std::vector<std::uint64_t>> label_histograms;  ///< [clients][classes]
};

/// Divides all rows of `dataset`:
///   iid        shuffled, equal parts (sizes differ by at most one)
///   dirichlet  each class divided by proportions ~ Dir(α) over the clients (Yurochkin 2019, 1905.12022; Hsu
///   2019,
///              1909.06335, draws each client's mix of classes instead); every client gets at least one
///              sample
///   shards     sorted by label and cut into clients · s shards, s for each client (McMahan 2017, 1602.05629)
///   quantity   iid in kind, sizes ~ Dir(α) (Li 2022, 2102.02079); every client gets at least one sample
/// The same seed gives the same partition on every machine. Fails with `bad_data` when there are more clients
/// or shards than samples, `bad_config` for an unknown name or a parameter out of range.
Result<Partition> make_partition(const Dataset& dataset, const PartitionSettings& settings,
                                 std::uint32_t clients, std::uint64_t seed);

/// Adds the histograms to rows that are already divided, such as TrainTest::owners.
Partition partition_of(const Dataset& dataset, std::vector<std::vector<std::uint32_t>> rows);

/// Takes `fraction` in [0, 1) of the rows (rounded; at least one when > 0 and there are two, never all) away
/// from `train`, at random by `seed`, and returns them; of a sequence the last ones, and what is left has
/// nothing in common with them. Both keep the order of `train`.
DataView split_validation(DataView& train, double fraction, std::uint64_t seed);

/// A table for people, a line for each of the first `max_lines` clients: its samples, and where there are no
/// more than 20 classes those of each class 0, 1, ….
std::string describe(const Partition& partition, std::size_t max_lines = 20);

}  // namespace fl
