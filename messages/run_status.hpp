// How a run goes, in one look: what the progress display shows and `fl_actor_node status HOST` asks for.
#pragma once

#include <cstdint>
#include <string>

#include "messages/as_bits.hpp"
#include "messages/ids.hpp"

namespace fl {

/// One moment of a run.
struct RunStatus {
  std::string state;      ///< "waiting for clients", "training", "stopping", "finished"
  std::string not_ready;  ///< why no client can be given work now; empty: one can
  std::string strategy;
  Version version = 0;
  Version max_versions = 0;
  std::uint64_t updates_accepted = 0;
  std::uint64_t max_updates = 0;
  std::uint64_t updates_rejected = 0;
  double updates_per_s = 0;   ///< over the last ten seconds or so
  double staleness_mean = 0;  ///< over the last versions
  double accuracy = -1;       ///< of the last evaluated version; < 0: none yet
  double loss = 0;
  double best_accuracy = -1;
  double train_loss = 0;
  std::uint32_t clients_training = 0;
  std::uint32_t clients_waiting = 0;
  std::uint32_t clients_lost = 0;
  std::uint32_t clients_quarantined = 0;
  double elapsed_s = 0;     ///< since the first lease, summed over resumes
  double remaining_s = -1;  ///< estimate to the nearest goal; < 0: unknown
  std::string waited_for;
  double waited_s = 0;
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
  std::uint64_t restarts = 0;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, RunStatus& x) {
  return f(x.state, x.not_ready, x.strategy, x.version, x.max_versions, x.updates_accepted, x.max_updates,
           x.updates_rejected, as_bits(x.updates_per_s), as_bits(x.staleness_mean), as_bits(x.accuracy),
           as_bits(x.loss), as_bits(x.best_accuracy), as_bits(x.train_loss), x.clients_training,
           x.clients_waiting, x.clients_lost, x.clients_quarantined, as_bits(x.elapsed_s),
           as_bits(x.remaining_s), x.waited_for, as_bits(x.waited_s), x.bytes_up, x.bytes_down, x.restarts);
}

}  // namespace fl
