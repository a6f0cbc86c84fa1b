// fl_actor_node config check FILE…: whether configuration files are right, without starting anything.
#pragma once

#include <string>
#include <vector>

#include "runtime/command_line.hpp"

namespace fl {

/// Looks at each file by itself and says "FILE: ok" on stdout, or what is wrong on stderr. Done, or refused
/// when any of them is wrong.
ExitCode check_configs(const std::vector<std::string>& files);

}  // namespace fl
