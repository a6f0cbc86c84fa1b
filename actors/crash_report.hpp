// What an actor does with an exception that nothing caught: end with an error that keeps the text, so that
// the supervisor can say why it restarts it. (By default CAF ends the actor with a bare runtime_error.)
#pragma once

#include <exception>
#include <string>

#include "messages/type_ids.hpp"

namespace fl {

template <class Self>
void end_with_reason_on_exception(Self* self) {
  self->set_exception_handler([](std::exception_ptr& pointer) -> caf::error {
    try {
      std::rethrow_exception(pointer);
    } catch (const std::exception& exception) {
      return to_caf({ec::internal, exception.what()});
    } catch (...) {
      return to_caf({ec::internal, "an exception that is not a std::exception"});
    }
  });
}

}  // namespace fl
