// SIGINT and SIGTERM: the first asks for a clean end, the second ends the process at once. SIGHUP: read files
// again.
#pragma once

namespace fl {

/// Installs the handlers; a later call changes nothing. Also ignores SIGPIPE.
void watch_signals();

/// SIGHUP asks from now on to read again what can be read again, instead of ending the process.
void watch_reload_signal();
/// Whether it came since it was last asked.
bool take_reload_request();

/// Whether SIGINT or SIGTERM has come.
bool interrupted();

}  // namespace fl
