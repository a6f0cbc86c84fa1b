// `fl_actor_node keys …`: makes keys and says what to do with them.
#pragma once

#include "runtime/command_line.hpp"

namespace fl {

ExitCode run_keys_command(const CommandLine& command_line);

}  // namespace fl
