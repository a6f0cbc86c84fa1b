// What a node needs to be believed, read from the files that net.* names: identities, the allow list, and
// whether the files of TLS can be used.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "actors/admission.hpp"
#include "messages/identity.hpp"
#include "runtime/config.hpp"

namespace fl {

struct Credentials {
  std::optional<SigningKey> identity;
  std::optional<PublicKey> aggregator;  ///< the only one that a client talks to
  AllowListPtr allowed;                 ///< null: no list
};

/// Reads and checks all files of `net`. Warns of a certificate that has expired or soon will. Fails with
/// `bad_config`: a file is missing, damaged, or a secret one is readable for others.
Result<Credentials> load_credentials(const NetOptions& net);

/// An identity file: Base64 of the secret key on a line of its own, lines with # are remarks.
Result<SigningKey> read_identity(const std::filesystem::path& file);
std::string identity_text(const std::string& name, const SigningKey& key);

/// An allow list: a client's name and its public key in Base64 on each line, lines with # are remarks. `name`
/// stands for the file in messages. Fails with `bad_config`, which names the line.
Result<AllowList> parse_allow_list(std::string_view text, const std::string& name);
Result<AllowListPtr> read_allow_list(const std::filesystem::path& file);
std::string allow_list_line(const std::string& name, const PublicKey& key);

/// Whether anybody but the file's owner may read it, as a refusal that says what to do.
Result<void> check_secret(const std::filesystem::path& file);

}  // namespace fl
