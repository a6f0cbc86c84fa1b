#include "actors/conduct.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace fl {

bool TokenBucket::take(TimePoint now) {
  if (filled_at_ && now > *filled_at_)
    tokens_ = std::min(most_, tokens_ + rate_ * std::chrono::duration<double>(now - *filled_at_).count());
  filled_at_ = now;
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

FloodGuard::FloodGuard(double requests_per_s)
    : limit_(requests_per_s), requests_(requests_per_s, 2 * requests_per_s), offences_(1, 1) {}

FloodGuard::Verdict FloodGuard::request(TimePoint now) {
  if (limit_ <= 0 || requests_.take(now)) return Verdict::pass;
  return offences_.take(now) ? Verdict::offence : Verdict::refuse;
}

std::optional<std::string> LogLimit::next(TokenBucket::TimePoint now) {
  if (!lines_.take(now)) {
    ++left_out_;
    return std::nullopt;
  }
  const auto others = std::exchange(left_out_, 0);
  return others > 0 ? " (and " + std::to_string(others) + " more before)" : std::string();
}

bool strike(RunStorage& storage, const std::string& client, const ConductOptions& options, Error& error) {
  if (options.strikes == 0 || !is_offence(error.code)) return false;
  const auto strikes = storage.add_strike(client, to_string(error), options.strikes);
  if (!strikes) {
    spdlog::error("the offence of {} is not in the store: {}", client, strikes.error().text);
    return false;
  }
  const auto quarantined = *strikes >= options.strikes;
  error.text += " (offence " + std::to_string(*strikes) + " of " + std::to_string(options.strikes) +
                (quarantined ? ": the client is quarantined)" : ")");
  return quarantined;
}

Result<void> check_quarantine(RunStorage& storage, const std::string& client) {
  const auto reason = storage.quarantine_reason(client);
  if (!reason) return tl::unexpected(reason.error());
  if (!*reason) return {};
  return fail(ec::quarantined,
              client + " is quarantined after too many offences (validate.strikes), the last: " + **reason +
                  ". The owner of the run lets it in again with "
                  "`fl_actor_node pardon RUN_DIR " +
                  client + "`");
}

}  // namespace fl
