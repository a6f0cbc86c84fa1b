// The end of a run: what is saved, measured, exported and said, in which order.
#pragma once

#include "runtime/node_inbox.hpp"
#include "runtime/server.hpp"
#include "runtime/summary.hpp"

namespace fl {

/// Drains and saves: the last version is on disk, evaluated and exported, the clients are told (unless the
/// run goes on later), the counts are final.
RunSummary close_run(ServerSetup& setup, NodeInbox& inbox, const RunEnd& end);

/// Writes summary.json and the run's state, and tells people how it went.
ExitCode finish_run(ServerSetup& setup, const RunEnd& end, RunSummary summary);

}  // namespace fl
