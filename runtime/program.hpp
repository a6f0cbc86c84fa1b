// fl_actor_node as a function: what is asked for, and who does it.
#pragma once

#include <functional>

#include "runtime/command_line.hpp"
#include "runtime/config.hpp"

namespace fl {

/// Adds what no file can say, such as Config::own_trainer, to settings that were read and checked.
using AddToConfig = std::function<void(Config&)>;

/// All of the program, with every command: what `main` returns. A program that embeds this one adds its own
/// parts by `add` (docs/embedding.md); it is called once, before anything starts.
int run_program(int argc, const char* const* argv, const AddToConfig& add = {});

}  // namespace fl
