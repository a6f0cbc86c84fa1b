#include "actors/chaos.hpp"

#include <regex>
#include <stdexcept>

namespace fl {

namespace {

constexpr std::string_view kDeath = "process@write=";

}  // namespace

Result<std::shared_ptr<Chaos>> Chaos::parse(const std::vector<std::string>& entries) {
  static const auto form = std::regex(
      "(aggregator|evaluator|metrics)@version=[1-9][0-9]*|scheduler@lease=[1-9][0-9]*|gateway@hello=[1-9][0-"
      "9]*|"
      "checkpointer@snapshot=[1-9][0-9]*|session-[0-9]+@update=[1-9][0-9]*|(client|trainer)-[0-9]+@task=[1-9]"
      "[0-9]*|process@write=[1-9][0-9]{0,17}");
  auto chaos = std::make_shared<Chaos>();
  for (const auto& entry : entries) {
    if (!std::regex_match(entry, form))
      return fail(ec::bad_config,
                  "chaos.crash: \"" + entry +
                      "\" is not a crash this program knows; write for example \"aggregator@version=3\", "
                      "\"client-2@task=2\" or \"trainer-0@task=1\" (docs/configuration.md lists all)");
    if (entry.starts_with(kDeath))
      chaos->dies_at_write_ = std::stoull(entry.substr(kDeath.size()));
    else
      chaos->entries_.insert(entry);
  }
  return chaos;
}

void Chaos::strike_at(std::string_view actor, std::string_view moment, std::uint64_t n) {
  const auto entry = std::string(actor) + "@" + std::string(moment) + "=" + std::to_string(n);
  {
    const auto lock = std::lock_guard(mutex_);
    if (entries_.erase(entry) == 0) return;
  }
  throw std::runtime_error("chaos: " + entry);
}

void Chaos::strike_next(std::string_view actor, std::string_view moment) {
  auto n = std::uint64_t{0};
  {
    const auto lock = std::lock_guard(mutex_);
    if (entries_.empty()) return;
    n = ++counts_[std::string(actor) + "@" + std::string(moment)];
  }
  strike_at(actor, moment, n);
}

}  // namespace fl
