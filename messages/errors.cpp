#include "messages/errors.hpp"

namespace fl {

namespace {

struct Entry {
  std::string_view name;
  std::string_view sentence;
};

constexpr Entry entry_of(ec code) {
  switch (code) {
    case ec::none:
      return {"none", "No error."};
    case ec::protocol_mismatch:
      return {"protocol_mismatch", "The peer speaks another protocol version."};
    case ec::layout_mismatch:
      return {"layout_mismatch", "The peer's model has other parameters than the run's."};
    case ec::hello_refused:
      return {"hello_refused", "The server refused the client's hello."};
    case ec::unknown_lease:
      return {"unknown_lease", "The update answers a lease that is unknown or has run out."};
    case ec::unknown_base:
      return {"unknown_base", "The update's base version is not in the model's history."};
    case ec::too_stale:
      return {"too_stale", "The update is older than strategy.max_staleness allows."};
    case ec::duplicate_update:
      return {"duplicate_update", "The lease was answered before."};
    case ec::not_finite:
      return {"not_finite", "The update holds values that are not finite numbers."};
    case ec::wrong_length:
      return {"wrong_length", "The update's length does not fit the model."};
    case ec::bad_claim:
      return {"bad_claim", "The update makes a claim about itself that cannot be true."};
    case ec::corrupt_data:
      return {"corrupt_data", "Bytes are damaged."};
    case ec::unsupported_format:
      return {"unsupported_format", "The format is unknown to this program."};
    case ec::run_over:
      return {"run_over", "The run is over."};
    case ec::bad_config:
      return {"bad_config", "A setting is out of range or contradicts another."};
    case ec::bad_data:
      return {"bad_data", "Data is missing, damaged or does not fit the configuration."};
    case ec::io_failed:
      return {"io_failed", "A file operation failed."};
    case ec::store_full:
      return {"store_full", "The server has no room for more updates."};
    case ec::run_folder_refused:
      return {"run_folder_refused", "The run folder cannot be used for this run."};
    case ec::unreachable:
      return {"unreachable", "The peer cannot be reached."};
    case ec::unavailable:
      return {"unavailable", "The peer is busy or restarting."};
    case ec::norm_too_large:
      return {"norm_too_large", "The update's norm is above the limit."};
    case ec::flood:
      return {"flood", "More or larger messages than any client needs."};
    case ec::quarantined:
      return {"quarantined", "The client offended too often and may not take part."};
    case ec::cancelled:
      return {"cancelled", "The work was cancelled."};
    case ec::internal:
      return {"internal", "Something failed that should not have."};
  }
  return {"unknown", "An error code that this program does not know."};
}

}  // namespace

std::string_view name_of(ec code) {
  return entry_of(code).name;
}

std::string_view sentence_of(ec code) {
  return entry_of(code).sentence;
}

bool is_offence(ec code) {
  switch (code) {
    case ec::layout_mismatch:
    case ec::not_finite:
    case ec::wrong_length:
    case ec::bad_claim:
    case ec::corrupt_data:
    case ec::norm_too_large:
    case ec::flood:
      return true;
    default:
      return false;
  }
}

std::string to_string(const Error& error) {
  auto text = std::string(name_of(error.code));
  if (!error.text.empty()) text += ": " + error.text;
  return text;
}

}  // namespace fl
