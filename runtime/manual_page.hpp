// The manual page, made from the help text.
#pragma once

#include <string>
#include <string_view>

namespace fl {

/// fl_actor_node.1 in roff. Of `help` (help_text.hpp) it takes paragraphs as the description, and each
/// heading that ends in ":" as a section: lists of "name   what it is" as such, everything else as it stands.
std::string manual_page(std::string_view help);

}  // namespace fl
