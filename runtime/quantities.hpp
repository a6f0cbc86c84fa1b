// Amounts as people read them: durations, bytes, rates, shares. One place, so that display, logs and summary
// agree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fl {

/// "3.2 s", "47 s", "1 min 23 s", "2 h 05 min", "3 d 4 h"; "?" when negative or not a number.
std::string duration_text(double seconds);

/// Decimal units: "512 B", "12.3 kB", "4.80 MB", "1.20 GB".
std::string bytes_text(std::uint64_t bytes);

/// About three significant digits: "0.25", "1.52", "15.2", "1520".
std::string rate_text(double per_second);

/// A share in [0, 1] as "97.31 %"; "?" when not a number.
std::string percent_text(double share);

/// "1 client", "3 clients".
std::string counted(std::uint64_t count, std::string_view noun);

/// One line that a terminal shows as it is: control characters, which may come from a peer, become '?'.
std::string printable(std::string_view text);

/// Columns that UTF-8 text without wide characters takes.
std::size_t columns_of(std::string_view text);

}  // namespace fl
