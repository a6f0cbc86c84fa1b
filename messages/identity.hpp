// Who somebody is: Ed25519 keys (RFC 8032, by libsodium) and the proofs that the two sides of a hello give
// each other. TLS says that a peer belongs to the federation; CAF does not tell handlers which certificate it
// was, so a name is proved here.
//
//   client                                    gateway
//     │ ── Introduction: name, nonce ────────────▶ │
//     │ ◀─ Challenge: nonce, key, signature ────── │   over both nonces: "I am the aggregator"
//     │ ── Hello with Proof: nonce, signature ───▶ │   over both nonces: "I am this client", once
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "messages/errors.hpp"

namespace fl {

/// 32 random bytes, used once.
using Nonce = std::string;
/// 64 bytes.
using Signature = std::string;

inline constexpr std::size_t kNonce_bytes = 32;

/// The public half of an identity; written as 44 characters of Base64.
struct PublicKey {
  std::array<std::uint8_t, 32> bytes{};

  bool operator==(const PublicKey&) const = default;

  /// Fails with `bad_config`: not Base64 of 32 bytes.
  static Result<PublicKey> parse(std::string_view base64);
  std::string text() const;
  bool verifies(std::string_view text, const Signature& signature) const;
};

/// The secret half.
class SigningKey {
 public:
  static SigningKey generate();
  /// From the Base64 of its 32 secret bytes (RFC 8032's private key). Fails with `bad_config`.
  static Result<SigningKey> parse(std::string_view base64);
  SigningKey(const SigningKey&) = default;
  SigningKey& operator=(const SigningKey&) = default;
  ~SigningKey();

  std::string secret_text() const;
  const PublicKey& public_key() const { return public_; }
  Signature sign(std::string_view text) const;

 private:
  SigningKey() = default;
  std::array<std::uint8_t, 64> secret_{};
  PublicKey public_;
};

/// Whether a client may have this name: 1 to 64 of [A-Za-z0-9._-], not beginning with a dot or a dash.
bool is_client_name(std::string_view name);

/// The clients that may join, by name.
using AllowList = std::map<std::string, PublicKey>;

Nonce make_nonce();

/// "I am …, and this is no recording": what is signed. Names both sides' nonces and nodes, so that it is of
/// no use in another hello or on another connection.
struct HelloTranscript {
  std::string name;  ///< of the client
  Nonce client_nonce;
  Nonce server_nonce;
  std::string client_node;  ///< as CAF writes its node id
  std::string server_node;

  std::string signed_by_client() const;
  std::string signed_by_server() const;
};

/// A client's words before its hello.
struct Introduction {
  std::uint32_t protocol_version = 0;
  std::string name;
  Nonce nonce;
};

/// The server's answer. `key` is empty when it has no identity.
struct Challenge {
  Nonce nonce;
  std::string key;  ///< PublicKey::text
  Signature signature;
};

/// A client's answer to a challenge, in its hello; empty when it has no identity.
struct Proof {
  Nonce challenge;
  Signature signature;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Introduction& x) {
  return f(x.protocol_version, x.name, x.nonce);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Challenge& x) {
  return f(x.nonce, x.key, x.signature);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, Proof& x) {
  return f(x.challenge, x.signature);
}

}  // namespace fl
