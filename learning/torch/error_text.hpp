// What torch throws, for people.
#pragma once

#include <c10/util/Exception.h>

#include <exception>
#include <string>

namespace fl {

/// Without torch's backtrace.
inline std::string text_of(const std::exception& error) {
  const auto* const torch_error = dynamic_cast<const c10::Error*>(&error);
  return torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
}

}  // namespace fl
