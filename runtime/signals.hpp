// SIGINT and SIGTERM: the first asks for a clean end, the second ends the process at once.
#pragma once

namespace fl {

/// Installs the handlers; a later call changes nothing. Also ignores SIGPIPE.
void watch_signals();

/// Whether a signal has come.
bool interrupted();

}  // namespace fl
