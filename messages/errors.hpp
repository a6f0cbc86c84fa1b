// Everything that can go wrong at an edge, as values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace fl {

/// Why something was refused or failed. The names are stable: they key `updates_rejected` in summary.json.
enum class ec : std::uint8_t {
  none = 0,
  /// The peer speaks another protocol version; both nodes need the same release.
  protocol_mismatch,
  /// The peer's model has other parameters than the run's.
  layout_mismatch,
  /// The hello was refused: bad name, name in use, or no free place.
  hello_refused,
  /// The update answers a lease that does not exist, has run out, or belongs to another life of the server.
  unknown_lease,
  /// The update's base version is not in the history of the current model.
  unknown_base,
  /// The update is older than strategy.max_staleness allows.
  too_stale,
  /// The lease was answered before.
  duplicate_update,
  /// The update holds values that are not finite numbers.
  not_finite,
  /// The update's length or sections do not fit the model.
  wrong_length,
  /// The update says something about itself that cannot be true, such as zero samples.
  bad_claim,
  /// Bytes are damaged: a checksum, magic number or length does not hold.
  corrupt_data,
  /// The format is newer than this program, or unknown to it.
  unsupported_format,
  /// The run is over; nothing more is accepted.
  run_over,
  /// A setting is out of range or contradicts another.
  bad_config,
  /// Data is missing, damaged or does not fit the configuration.
  bad_data,
  /// A file or the operating system refused an operation.
  io_failed,
  /// The server has no room for more updates; it takes them again when there is.
  store_full,
  /// The run folder belongs to another process, run or model.
  run_folder_refused,
  /// A peer could not be reached or went away.
  unreachable,
  /// The peer or actor is busy, starting or restarting; try again later.
  unavailable,
  /// The update's norm is above validate.max_update_norm.
  norm_too_large,
  /// More messages, or larger ones, than any client needs.
  flood,
  /// The client offended too often (validate.strikes) and may not take part until it is pardoned.
  quarantined,
  /// The work was cancelled before it was finished.
  cancelled,
  /// Something failed that should not have; the text says what.
  internal,
};

/// The enumerator's name, such as "too_stale".
std::string_view name_of(ec code);

/// One sentence that says what the code means to a user.
std::string_view sentence_of(ec code);

/// Whether the refusal counts towards quarantine (validate.strikes). The rule: only what a client that runs
/// this program on sound data does not cause, whatever happens to its connection, its lease or the server.
/// Late, repeated and forgotten answers (too_stale, unknown_base, duplicate_update, unknown_lease, run_over),
/// and what the server could not do (store_full, io_failed, unavailable) are nobody's offence.
bool is_offence(ec code);

/// An error with a text that names the input, what was wrong with it and what to do.
struct Error {
  ec code = ec::internal;
  std::string text;
};

/// "too_stale: the update is 9 versions old …"
std::string to_string(const Error& error);

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(ec code, std::string text) {
  return tl::unexpected<Error>(Error{code, std::move(text)});
}

}  // namespace fl
