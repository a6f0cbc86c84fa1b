// Text as a sequence of characters of which the next is predicted: McMahan 2017 (1602.05629), LEAF
// (1812.01097).
#pragma once

#include <filesystem>

#include "learning/data/samples.hpp"

namespace fl {

/// What the codes mean, in their order; the last is every other byte.
const std::vector<std::string>& text_characters();

/// The same for every text, so that no client has to say which characters its own has: new line, the 95
/// printable ASCII characters, tab, and one code for every other byte. 98 classes.
DataSchema text_schema(std::uint32_t length);

/// Adds the codes of the file's characters. A carriage return before a new line is left out. Fails with
/// `bad_data` where the file cannot be read.
Result<void> read_text_codes(const std::filesystem::path& file, std::vector<std::uint8_t>& codes);

}  // namespace fl
