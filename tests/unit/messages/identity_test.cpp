#include "messages/identity.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace fl;

TEST_CASE("a key signs as RFC 8032 says (section 7.1, test 2)") {
  const auto key = SigningKey::parse("TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs=");
  REQUIRE(key);
  CHECK(key->public_key().text() == "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=");
  auto hex = std::string();
  for (const auto byte : key->sign("\x72")) {
    constexpr auto* digits = "0123456789abcdef";
    hex += digits[static_cast<unsigned char>(byte) >> 4];
    hex += digits[static_cast<unsigned char>(byte) & 15];
  }
  CHECK(hex ==
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
}

TEST_CASE("keys come back from their text, and sign for nobody else") {
  const auto key = SigningKey::generate();
  const auto other = SigningKey::generate();
  const auto again = SigningKey::parse(key.secret_text()).value();
  CHECK(again.public_key() == key.public_key());
  CHECK(PublicKey::parse(key.public_key().text()).value() == key.public_key());
  const auto signature = again.sign("words");
  CHECK(key.public_key().verifies("words", signature));
  CHECK_FALSE(key.public_key().verifies("other words", signature));
  CHECK_FALSE(other.public_key().verifies("words", signature));
  CHECK_FALSE(key.public_key().verifies("words", signature.substr(1)));
  CHECK_FALSE(key.public_key().verifies("words", {}));
}

TEST_CASE("what is no key is refused, and a secret is not repeated in the error") {
  for (const auto* text :
       {"", "AAAA", "not Base64!", "3d40", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}) {
    CAPTURE(text);
    CHECK(PublicKey::parse(text).error().code == ec::bad_config);
    const auto secret = SigningKey::parse(text);
    CHECK(secret.error().code == ec::bad_config);
    if (*text != '\0') CHECK(secret.error().text.find(text) == std::string::npos);
  }
}

TEST_CASE("every part of a transcript counts, and none can lend bytes to another") {
  const auto base = HelloTranscript{"ward", "client nonce", "server nonce", "node a", "node b"};
  CHECK(base.signed_by_client() != base.signed_by_server());
  for (auto HelloTranscript::*part :
       {&HelloTranscript::name, &HelloTranscript::client_nonce, &HelloTranscript::server_nonce,
        &HelloTranscript::client_node, &HelloTranscript::server_node}) {
    auto changed = base;
    changed.*part += "!";
    CHECK(changed.signed_by_client() != base.signed_by_client());
  }
  auto shifted = base;
  shifted.name = "ward 12:client nonce";
  shifted.client_nonce = "";
  CHECK(shifted.signed_by_client() != base.signed_by_client());
}

TEST_CASE("names of clients") {
  for (const auto* name : {"a", "ward-1", "A_b.c", "_x", "0"}) CHECK(is_client_name(name));
  for (const auto& name :
       {std::string(), std::string("a b"), std::string("../x"), std::string("-x"), std::string(".x"),
        std::string("a/b"), std::string("\n"), std::string("é"), std::string(65, 'a')})
    CHECK_FALSE(is_client_name(name));
  CHECK(is_client_name(std::string(64, 'a')));
}
