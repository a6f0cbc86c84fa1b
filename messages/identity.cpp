#include "messages/identity.hpp"

#include <sodium.h>

#include <algorithm>
#include <cctype>
#include <stdexcept>

namespace fl {

namespace {

constexpr std::size_t kMaxName = 64;

constexpr auto kBase64 = sodium_base64_VARIANT_ORIGINAL;
static_assert(crypto_sign_PUBLICKEYBYTES == 32 && crypto_sign_SECRETKEYBYTES == 64 &&
              crypto_sign_SEEDBYTES == 32);

void need_sodium() {
  static const auto ready = ::sodium_init() >= 0;
  if (!ready) throw std::runtime_error("libsodium cannot be started: this system gives no random numbers");
}

std::string to_base64(const std::uint8_t* bytes, std::size_t size) {
  auto text = std::string(sodium_base64_encoded_len(size, kBase64), '\0');
  ::sodium_bin2base64(text.data(), text.size(), bytes, size, kBase64);
  text.pop_back();  // its terminating zero
  return text;
}

Result<std::array<std::uint8_t, 32>> from_base64(std::string_view text, const std::string& what) {
  auto bytes = std::array<std::uint8_t, 32>();
  auto length = std::size_t{0};
  if (::sodium_base642bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, &length, nullptr,
                          kBase64) != 0 ||
      length != bytes.size())
    return fail(ec::bad_config, what + " is not the Base64 of 32 bytes (44 characters)");
  return bytes;
}

/// Each field with its length, so that no two transcripts have the same bytes.
std::string transcript(std::string_view role, const HelloTranscript& hello) {
  auto text = std::string("fl_actor hello 1 ");
  text += role;
  for (const auto* field :
       {&hello.name, &hello.client_nonce, &hello.server_nonce, &hello.client_node, &hello.server_node}) {
    text += ' ' + std::to_string(field->size()) + ':';
    text += *field;
  }
  return text;
}

const unsigned char* data_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

Result<PublicKey> PublicKey::parse(std::string_view base64) {
  auto bytes = from_base64(base64, "the public key \"" + std::string(base64.substr(0, 64)) + "\"");
  if (!bytes) return tl::unexpected(bytes.error());
  return PublicKey{*bytes};
}

std::string PublicKey::text() const {
  return to_base64(bytes.data(), bytes.size());
}

bool PublicKey::verifies(std::string_view text, const Signature& signature) const {
  need_sodium();
  return signature.size() == crypto_sign_BYTES &&
         ::crypto_sign_verify_detached(data_of(signature), data_of(text), text.size(), bytes.data()) == 0;
}

SigningKey SigningKey::generate() {
  need_sodium();
  auto key = SigningKey();
  ::crypto_sign_keypair(key.public_.bytes.data(), key.secret_.data());
  return key;
}

Result<SigningKey> SigningKey::parse(std::string_view base64) {
  need_sodium();
  auto seed = from_base64(base64, "the secret key");  // which is not to be repeated here
  if (!seed) return tl::unexpected(seed.error());
  auto key = SigningKey();
  ::crypto_sign_seed_keypair(key.public_.bytes.data(), key.secret_.data(), seed->data());
  ::sodium_memzero(seed->data(), seed->size());
  return key;
}

SigningKey::~SigningKey() {
  ::sodium_memzero(secret_.data(), secret_.size());
}

std::string SigningKey::secret_text() const {
  return to_base64(secret_.data(), crypto_sign_SEEDBYTES);
}

Signature SigningKey::sign(std::string_view text) const {
  auto signature = Signature(crypto_sign_BYTES, '\0');
  ::crypto_sign_detached(reinterpret_cast<unsigned char*>(signature.data()), nullptr, data_of(text),
                         text.size(), secret_.data());
  return signature;
}

bool is_client_name(std::string_view name) {
  const auto allowed = [](unsigned char letter) {
    return std::isalnum(letter) != 0 || letter == '.' || letter == '_' || letter == '-';
  };
  return !name.empty() && name.size() <= kMaxName && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), allowed);
}

Nonce make_nonce() {
  need_sodium();
  auto nonce = Nonce(kNonce_bytes, '\0');
  ::randombytes_buf(nonce.data(), nonce.size());
  return nonce;
}

std::string HelloTranscript::signed_by_client() const {
  return transcript("client", *this);
}

std::string HelloTranscript::signed_by_server() const {
  return transcript("server", *this);
}

}  // namespace fl
