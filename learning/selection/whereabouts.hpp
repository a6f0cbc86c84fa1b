// Where the clients of a run are: what its owner looks at.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "messages/ids.hpp"

namespace fl {

struct ClientWhereabouts {
  enum class State : std::uint8_t {
    training,  ///< connected, with a lease
    waiting,   ///< connected without one
    lost,      ///< was connected once; its lease may be kept for it
  };
  ClientId client = 0;
  State state = State::waiting;
  TaskId task = 0;     ///< that it works on; 0: none
  double since_s = 0;  ///< how long
};

/// Those that ever came, by index.
using Whereabouts = std::vector<ClientWhereabouts>;
using WhereaboutsPtr = std::shared_ptr<const Whereabouts>;

}  // namespace fl
