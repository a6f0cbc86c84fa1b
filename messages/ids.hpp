// The identifiers that every part of a federation shares.
#pragma once

#include <cstdint>

namespace fl {

/// Counts applications to the global model; 0 is the initial model.
using Version = std::uint64_t;

/// A client's index in the federation, in [0, clients.count); bound to its name in the run store.
using ClientId = std::uint32_t;

/// A lease's number: unique and rising within a run, so (seed, client, task) names one random stream.
using TaskId = std::uint64_t;

/// Counts the lives of the scheduler, so that a lease of an earlier life is never taken for one of this.
using Epoch = std::uint32_t;

/// Version of the messages between nodes; both sides must agree (docs/architecture.md has the policy).
inline constexpr std::uint32_t kProtocolVersion = 8;

}  // namespace fl
