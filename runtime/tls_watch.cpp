#include "runtime/tls_watch.hpp"

#include <netdb.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <chrono>
#include <mutex>
#include <utility>

namespace fl {

namespace {

/// The same failure is told again only after this: somebody who tries all the time shall not fill the log.
constexpr auto kRepeat = std::chrono::seconds(60);

/// The newest failure of this process.
class LastFailure {
 public:
  /// Whether it is worth telling.
  bool set(const std::string& reason, const std::string& peer) {
    const auto lock = std::lock_guard(mutex_);
    const auto now = std::chrono::steady_clock::now();
    text_ = "TLS: " + reason;
    if (told_ == peer + reason && now - told_at_ < kRepeat) return false;
    told_ = peer + reason;
    told_at_ = now;
    return true;
  }
  std::string take() {
    const auto lock = std::lock_guard(mutex_);
    return std::exchange(text_, {});
  }

 private:
  std::mutex mutex_;
  std::string text_;
  std::string told_;
  std::chrono::steady_clock::time_point told_at_;
};

LastFailure& last_failure() {
  static auto failure = LastFailure();
  return failure;
}

std::string address_of(int socket) {
  auto address = sockaddr_storage();
  auto length = socklen_t{sizeof address};
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  char host[NI_MAXHOST] = {};
  if (socket < 0 || ::getpeername(socket, generic, &length) != 0 ||
      ::getnameinfo(generic, length, host, sizeof host, nullptr, 0, NI_NUMERICHOST) != 0)
    return "the other side";
  return host;
}

/// OpenSSL keeps the peer's address for us, because the socket has forgotten it when the peer is gone.
int peer_index = -1;

std::string peer_of(SSL* connection) {
  if (::SSL_get_ex_data(connection, peer_index) == nullptr)
    ::SSL_set_ex_data(connection, peer_index, new std::string(address_of(::SSL_get_fd(connection))));
  return *static_cast<const std::string*>(::SSL_get_ex_data(connection, peer_index));
}

void forget_peer(void*, void* peer, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<std::string*>(peer);
}

/// What OpenSSL found wrong with the certificate that the other side showed; empty: nothing.
std::string certificate_fault(const SSL* connection) {
  const auto result = ::SSL_get_verify_result(connection);
  return result == X509_V_OK ? std::string() : ::X509_verify_cert_error_string(result);
}

void note(const std::string& peer, const std::string& reason) {
  const auto news = last_failure().set(reason, peer);
  spdlog::log(news ? spdlog::level::warn : spdlog::level::debug, "TLS with {} failed: {}", peer, reason);
}

/// OpenSSL 3.0 has no words for this one.
std::string words_of(int alert) {
  return (alert & 0xff) == SSL_AD_CERTIFICATE_REQUIRED ? "certificate required"
                                                       : ::SSL_alert_desc_string_long(alert);
}

/// Whether the other side has closed its socket.
bool was_closed(const SSL* connection) {
  auto* const socket = ::SSL_get_rbio(connection);
  return socket != nullptr && BIO_eof(socket) != 0;
}

/// Before each read from and write to a socket. CAF asks for the error of an operation without having emptied
/// OpenSSL's error queue before, so that the failure of one connection would end the next one that merely has
/// to wait.
long forget_errors(BIO*, int, const char*, std::size_t, int, long, int result, std::size_t*) {
  ::ERR_clear_error();
  return result;
}

void on_event(const SSL* observed, int where, int result) {
  if ((where & SSL_CB_HANDSHAKE_START) != 0)
    for (auto* const socket : {::SSL_get_rbio(observed), ::SSL_get_wbio(observed)})
      if (socket != nullptr) ::BIO_set_callback_ex(socket, forget_errors);
  auto* const ssl = const_cast<SSL*>(observed);
  const auto connection = peer_of(ssl);
  if ((where & SSL_CB_ALERT) != 0) {
    if ((result >> 8) != SSL3_AL_FATAL) return;
    const auto alert = words_of(result);
    // The end of a connection that the other side closed is an alert of ours, too: that is no failure.
    if ((where & SSL_CB_WRITE) == SSL_CB_WRITE && was_closed(observed)) return;
    if ((where & SSL_CB_READ) == SSL_CB_READ) {
      note(connection, "it refuses us: " + alert);
    } else {
      const auto fault = certificate_fault(observed);
      note(connection, fault.empty() ? "we refuse it: " + alert : "we refuse its certificate: " + fault);
    }
    return;
  }
  // The handshake stopped without an alert; without an error it only waits for bytes.
  if ((where & SSL_CB_EXIT) == 0 || result > 0) return;
  const auto error = ::ERR_peek_last_error();
  if (error == 0) return;
  if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER)
    note(connection, "it does not speak TLS (it may be a node without net.tls.*)");
}

/// OpenSSL calls this for each new connection (CRYPTO_get_ex_new_index(3)).
void on_new_connection(void* parent, void*, CRYPTO_EX_DATA*, int index, long, void*) {
  if (parent != nullptr && index >= 0) ::SSL_set_info_callback(static_cast<SSL*>(parent), on_event);
}

}  // namespace

void watch_tls() {
  static const auto index =
      ::CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, nullptr, on_new_connection, nullptr, forget_peer);
  peer_index = index;
  if (index < 0) spdlog::warn("OpenSSL cannot be watched: failed connections are not explained");
}

std::string take_tls_failure() {
  return last_failure().take();
}

}  // namespace fl
