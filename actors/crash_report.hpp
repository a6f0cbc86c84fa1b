// What an actor does with an exception that nothing caught: end with an error that keeps the text, so that
// the supervisor can say why it restarts it. (By default CAF ends the actor with a bare runtime_error.)
#pragma once

#include <exception>
#include <string>

#include "messages/type_ids.hpp"

namespace fl {

/// What an exception says; empty for none.
inline std::string text_of(const std::exception_ptr& error) {
  if (!error) return {};
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& exception) {
    return exception.what();
  } catch (...) {
    return "an exception that is not a std::exception";
  }
}

template <class Self>
void end_with_reason_on_exception(Self* self) {
  self->set_exception_handler([](std::exception_ptr& pointer) -> caf::error {
    return to_caf({ec::internal, text_of(pointer)});
  });
}

}  // namespace fl
