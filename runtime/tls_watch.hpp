// Why TLS connections fail, and that they fail alone. CAF closes such a connection without a word; OpenSSL
// tells every new connection's observer, so this observes them all: alerts that were sent or received, and
// what was wrong with the other side's certificate.
#pragma once

#include <string>

namespace fl {

/// From now on failed handshakes of this process are logged, with the peer's address, and touch no other
/// connection. Once is enough; call it before the first connection.
void watch_tls();

/// The newest failure in words, and forgets it; empty: there was none. For a client that says why it cannot
/// connect.
std::string take_tls_failure();

}  // namespace fl
