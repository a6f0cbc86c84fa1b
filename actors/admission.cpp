#include "actors/admission.hpp"

#include <utility>

namespace fl {

namespace {

/// For a hello to follow its challenge.
constexpr auto kPatience = std::chrono::seconds(60);

/// Introductions without a hello; more are not listened to.
constexpr std::size_t kMaxIssued = 10'000;

}  // namespace

Result<Challenge> Admission::challenge(const Introduction& introduction, const Ends& ends, TimePoint now) {
  if (introduction.nonce.size() != kNonce_bytes)
    return fail(ec::hello_refused,
                "the introduction holds no nonce of " + std::to_string(kNonce_bytes) + " bytes");
  std::erase_if(issued_, [&](const auto& entry) { return entry.second.until <= now; });
  if (issued_.size() >= kMaxIssued)
    return fail(ec::unavailable, "too many clients introduce themselves at the same time");
  auto transcript = HelloTranscript{introduction.name, introduction.nonce, make_nonce(), ends.client_node,
                                    ends.server_node};
  auto challenge = Challenge{transcript.server_nonce, {}, {}};
  if (options_.identity) {
    challenge.key = options_.identity->public_key().text();
    challenge.signature = options_.identity->sign(transcript.signed_by_server());
  }
  issued_[ends.client] = {std::move(transcript), now + kPatience};
  return challenge;
}

Result<void> Admission::admit(const std::string& name, const Proof& proof, const Ends& ends, TimePoint now) {
  if (!options_.allowed) return {};
  const auto found = options_.allowed->find(name);
  if (found == options_.allowed->end())
    return fail(ec::hello_refused,
                "\"" + name +
                    "\" is not on the aggregator's allow list (net.allow_list); it was revoked, or "
                    "its key was never added");
  if (proof.challenge.empty())
    return fail(ec::hello_refused,
                "the aggregator wants to know who joins: the client needs its Ed25519 key "
                "(net.identity, made by fl_actor_node keys client " +
                    name + ")");
  return verify(name, found->second, proof, ends, now);
}

Result<void> Admission::admit_owner(const Proof& proof, const Ends& ends, TimePoint now) {
  if (!options_.identity) return {};
  if (auto ok = verify(std::string(kOwnerName), options_.identity->public_key(), proof, ends, now); !ok)
    return fail(ec::hello_refused,
                "only who holds the aggregator's key may do that; use its configuration (--config "
                "…/aggregator.toml)");
  return {};
}

Result<void> Admission::verify(const std::string& name, const PublicKey& key, const Proof& proof,
                               const Ends& ends, TimePoint now) {
  const auto found = issued_.find(ends.client);
  if (found == issued_.end() || found->second.until <= now ||
      found->second.transcript.server_nonce != proof.challenge)
    return fail(ec::hello_refused,
                "the proof of identity answers no open challenge: it is too old, or was used before");
  const auto transcript = std::move(found->second.transcript);
  issued_.erase(found);
  if (transcript.name != name || transcript.client_node != ends.client_node)
    return fail(ec::hello_refused, "the proof of identity was made for another name or another connection");
  if (!key.verifies(transcript.signed_by_client(), proof.signature))
    return fail(ec::hello_refused,
                "the key of \"" + name +
                    "\" (net.identity) is not the one that the aggregator knows for this name "
                    "(net.allow_list)");
  return {};
}

bool Admission::still_allowed(const std::string& name, const std::optional<PublicKey>& key) const {
  return !options_.allowed || key_of(name) == key;
}

std::optional<PublicKey> Admission::key_of(const std::string& name) const {
  if (!options_.allowed) return std::nullopt;
  const auto found = options_.allowed->find(name);
  return found == options_.allowed->end() ? std::nullopt : std::optional(found->second);
}

}  // namespace fl
