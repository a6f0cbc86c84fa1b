// Shell completions, made from the program's own tables: its commands and options (command_table) and its
// settings (config_keys), so that they never say what the program does not know.
#pragma once

#include <string>

#include "runtime/command_line.hpp"

namespace fl {

/// A script for the shell to source: commands, options, their choices, files and folders, and for --set the
/// keys and the values that a key may have. It needs no other package.
std::string completion_script(Shell shell);

}  // namespace fl
