// Deaths and failures at every write of the process, SQLite's own included (messages/durable_step.hpp).
#pragma once

#include <cstdint>

#include "messages/durable_step.hpp"

namespace fl {

/// As set_durable_step_hook, and told of each write, truncation and removal that SQLite makes, too; a failure
/// there is a full disk to SQLite.
void set_durable_step_hook_with_sqlite(DurableStepHook hook);

/// chaos.crash = "process@write=N": the process dies by SIGKILL at its Nth step from now on, after a line on
/// stderr that says which it was. For tests.
void die_at_durable_step(std::uint64_t n);

}  // namespace fl
