// `fl_actor_node keys`: a federation's own certificate authority, certificates, Ed25519 identities and the
// configurations that name them.
//
//   DIR/ca.pem, ca.key                      the authority; ca.key stays where it was made
//   DIR/allow_list                          which clients may join
//   DIR/aggregator.{toml,pem,key,identity}  for the aggregator
//   DIR/NAME.{toml,pem,key,identity}        for a client, to be carried to it with ca.pem
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "messages/errors.hpp"

namespace fl {

struct KeyOptions {
  std::filesystem::path folder;
  int days = 825;  ///< for which a certificate holds, ≥ 1; the authority's holds ten years
};

/// Makes the authority and the aggregator's keys. Fails with `bad_config`: the folder holds keys already, or
/// cannot be written. Nothing half-made stays behind.
Result<void> make_federation_keys(const KeyOptions& options);

/// Makes a client's keys and puts it on the allow list. A client that has a key already gets new ones, which
/// replace those that it had. Fails with `bad_config`: no authority is there, or the name is not one of a
/// client.
Result<void> make_client_keys(const KeyOptions& options, const std::string& name);

/// Takes a client off the allow list; its certificate stays valid. Fails with `bad_config`: it is not on the
/// list.
Result<void> revoke_client(const std::filesystem::path& folder, const std::string& name);

}  // namespace fl
