// Writing to file descriptors, short writes and interruptions included.
#pragma once

#include <string_view>

namespace fl {

/// False when the descriptor refused; errno says why.
bool write_all(int descriptor, std::string_view bytes);

}  // namespace fl
