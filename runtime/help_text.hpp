// What --help and --version say.
#pragma once

#include <string>

namespace fl {

std::string help_text();
std::string version_text();

}  // namespace fl
