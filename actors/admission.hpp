// Who may join: what the gateway decides on, without actors. Challenges are answered once, from the
// connection they were made for, and soon.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "messages/identity.hpp"

namespace fl {

using AllowListPtr = std::shared_ptr<const AllowList>;

/// The name under which the aggregator's owner introduces himself, to stop the run; no client has it.
inline constexpr std::string_view kOwnerName = "(owner)";

struct AdmissionOptions {
  std::optional<SigningKey> identity;  ///< of the aggregator; none: it proves nothing
  AllowListPtr allowed;                ///< null: everyone may join, under any name
};

class Admission {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// Both ends of a connection, as CAF writes them.
  struct Ends {
    std::string client;       ///< the actor that speaks
    std::string client_node;  ///< its process
    std::string server_node;
  };

  explicit Admission(AdmissionOptions options) : options_(std::move(options)) {}

  /// Answers an introduction, in place of an earlier one of the same client. Fails with `hello_refused` (the
  /// nonce is none) or `unavailable` (too many introductions without a hello).
  Result<Challenge> challenge(const Introduction& introduction, const Ends& ends, TimePoint now);

  /// Whether a client is who it says and may join. Fails with `hello_refused`.
  Result<void> admit(const std::string& name, const Proof& proof, const Ends& ends, TimePoint now);

  /// Whether somebody holds the aggregator's own key; everyone passes when it has none. Fails with
  /// `hello_refused`.
  Result<void> admit_owner(const Proof& proof, const Ends& ends, TimePoint now);

  /// From now on these may join.
  void allow(AllowListPtr allowed) { options_.allowed = std::move(allowed); }
  /// Whether a client that was admitted still may take part: its name has the same key.
  bool still_allowed(const std::string& name, const std::optional<PublicKey>& key) const;
  /// The key that a name is known by; none when everyone may join.
  std::optional<PublicKey> key_of(const std::string& name) const;

 private:
  struct Issued {
    HelloTranscript transcript;
    TimePoint until;
  };

  Result<void> verify(const std::string& name, const PublicKey& key, const Proof& proof, const Ends& ends,
                      TimePoint now);

  AdmissionOptions options_;
  std::map<std::string, Issued> issued_;  ///< by client
};

}  // namespace fl
