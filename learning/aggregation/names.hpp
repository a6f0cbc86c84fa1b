// Names of a setting's choices, in one table that both directions read.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "messages/errors.hpp"

namespace fl {

template <class Choice, std::size_t count>
using Names = std::array<std::pair<std::string_view, Choice>, count>;

/// Fails with `bad_config` and a text such as: unknown strategy "fedavgg"; choose one of fedavg, fedbuff.
template <class Choice, std::size_t count>
Result<Choice> parse_name(const Names<Choice, count>& names, std::string_view what, std::string_view name) {
  auto text = "unknown " + std::string(what) + " \"" + std::string(name) + "\"; choose one of ";
  auto separator = std::string_view();
  for (const auto& [known, choice] : names) {
    if (known == name) return choice;
    text += std::string(separator) + std::string(known);
    separator = ", ";
  }
  return fail(ec::bad_config, std::move(text));
}

template <class Choice, std::size_t count>
std::string name_in(const Names<Choice, count>& names, Choice wanted) {
  for (const auto& [known, choice] : names) {
    if (choice == wanted) return std::string(known);
  }
  return "unknown";
}

}  // namespace fl
