// What the server has measured of its clients.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "messages/ids.hpp"

namespace fl {

/// What an update that was taken says of its task.
struct TaskAnswer {
  double train_s = 0;         ///< training, as the client says
  std::uint64_t steps = 0;    ///< batches
  std::uint64_t samples = 0;  ///< distinct ones
  double loss = 0;            ///< mean over the batches
};

/// One client. Means are exponentially weighted: the newest counts kNewest.
struct ClientMeasures {
  static constexpr float kNewest = 0.3f;

  float samples_per_s = 0;  ///< that it trains; 0: not known
  float transfer_s = 0;     ///< what a task takes beside training: both ways, and waiting
  float duration_s = 0;     ///< of a whole task; 0: not known
  float reliability = 1;    ///< share of the tasks that were answered, in [0, 1]
  float loss = -1;          ///< of its last update; < 0: not known
  float samples = 0;        ///< of its last update
  std::uint32_t answered = 0;
  std::uint32_t lost = 0;
  Version last_version = 0;  ///< that it was given to train

  bool known() const { return answered > 0; }

  /// `total_s`: from the lease to the answer; `trained`: samples that it went through, repeats included.
  void note_answer(const TaskAnswer& answer, double total_s, double trained) {
    mix(samples_per_s, trained / std::max(answer.train_s, 1e-9));
    mix(transfer_s, std::max(total_s - answer.train_s, 0.0));
    mix(duration_s, total_s);
    loss = static_cast<float>(answer.loss);
    samples = static_cast<float>(answer.samples);
    reliability += kNewest * (1 - reliability);
    ++answered;
  }

  void note_loss() {
    reliability -= kNewest * reliability;
    ++lost;
  }

  /// How long a task over so many samples would take; none: nothing is known.
  std::optional<double> expected_s(double samples_to_train) const {
    if (!known()) return std::nullopt;
    return transfer_s + samples_to_train / std::max(samples_per_s, 1e-9f);
  }

  bool operator==(const ClientMeasures&) const = default;

 private:
  void mix(float& mean, double value) const {
    const auto newest = static_cast<float>(value);
    mean = answered == 0 ? newest : mean + kNewest * (newest - mean);
  }
};

/// By client.
using MeasuresTable = std::vector<ClientMeasures>;

}  // namespace fl
