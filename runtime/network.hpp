// Addresses: which may be used in plain text, and whether they can be used at all.
#pragma once

#include <cstdint>
#include <string>

#include "messages/errors.hpp"
#include "runtime/config.hpp"

namespace fl {

/// A host as found: its first address, and whether all of its addresses are loopback.
struct ResolvedHost {
  std::string address;
  bool loopback = false;
};

/// Fails with `bad_config` for a name that cannot be resolved.
Result<ResolvedHost> resolve(const std::string& host);

/// Whether a text is this machine's own address or name: "127.0.0.1" (and all of 127/8), "::1", "localhost".
/// A name that only looks like one is not.
bool is_loopback_name(const std::string& text);

/// Plain text is for loopback only, unless net.allow_plaintext says otherwise; then a warning is logged.
/// Fails with `bad_config`.
Result<void> check_plaintext(const std::string& host, const NetOptions& net);

/// Whether a server could listen there now. Fails with `bad_config`: the port is in use, or the address is
/// not of this machine.
Result<void> check_listen(const std::string& address, std::uint16_t port);

}  // namespace fl
