#include "runtime/network.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "messages/file_source.hpp"

namespace fl {

namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Result<Addresses> look_up(const std::string& host, const char* service, int flags) {
  auto hints = addrinfo();
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  if (const auto error = ::getaddrinfo(host.c_str(), service, &hints, &found); error != 0)
    return fail(ec::bad_config, "the host \"" + host + "\" cannot be resolved (" + ::gai_strerror(error) +
                                    "); check its spelling and this machine's DNS");
  return Addresses(found, ::freeaddrinfo);
}

bool is_loopback(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  }
  if (address.sa_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) != 0;
  }
  return false;
}

}  // namespace

Result<ResolvedHost> resolve(const std::string& host) {
  auto addresses = look_up(host, nullptr, 0);
  if (!addresses) return tl::unexpected(addresses.error());
  auto resolved = ResolvedHost{{}, true};
  for (const auto* entry = addresses->get(); entry != nullptr; entry = entry->ai_next) {
    if (resolved.address.empty()) {
      char text[NI_MAXHOST] = {};
      ::getnameinfo(entry->ai_addr, entry->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
      resolved.address = text;
    }
    resolved.loopback = resolved.loopback && is_loopback(*entry->ai_addr);
  }
  return resolved;
}

Result<void> check_plaintext(const std::string& host, const NetOptions& net) {
  auto resolved = resolve(host);
  if (!resolved) return tl::unexpected(resolved.error());
  if (resolved->loopback || net.tls()) return {};
  if (!net.allow_plaintext)
    return fail(ec::bad_config,
                "\"" + host +
                    "\" is not a loopback address, and without net.tls.* models and updates "
                    "would travel in plain text. Make keys with `fl_actor_node keys init DIR`, or, in "
                    "a network you trust, say net.allow_plaintext = true on every node");
  spdlog::warn(
      "net.allow_plaintext: models and updates travel unencrypted, and anyone who reaches {} may join", host);
  return {};
}

Result<void> check_listen(const std::string& address, std::uint16_t port) {
  if (port == 0) return {};
  auto addresses = look_up(address, std::to_string(port).c_str(), AI_PASSIVE | AI_NUMERICSERV);
  if (!addresses) return tl::unexpected(addresses.error());
  const auto& entry = **addresses;
  const auto socket =
      FileDescriptor(::socket(entry.ai_family, entry.ai_socktype | SOCK_CLOEXEC, entry.ai_protocol));
  const int yes = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (socket && ::bind(socket.get(), entry.ai_addr, entry.ai_addrlen) == 0 && ::listen(socket.get(), 1) == 0)
    return {};
  const auto why = errno;
  const auto where = address + ":" + std::to_string(port);
  if (why == EADDRINUSE)
    return fail(ec::bad_config, "port " + std::to_string(port) + " of " + address +
                                    " is in use by another process; choose another with --port");
  return fail(ec::bad_config, "cannot listen at " + where + ": " + std::strerror(why));
}

bool is_loopback_name(const std::string& text) {
  if (text == "localhost") return true;
  auto four = in_addr();
  if (::inet_pton(AF_INET, text.c_str(), &four) == 1) return (ntohl(four.s_addr) >> 24) == 127;
  auto six = in6_addr();
  return ::inet_pton(AF_INET6, text.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

}  // namespace fl
