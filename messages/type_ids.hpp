// The values that CAF sends, and how our errors become CAF's. The actors' own atoms are in actors/actors.hpp.
#pragma once

#include <caf/all.hpp>
#include <cstdint>
#include <string>

#include "messages/errors.hpp"
#include "messages/run_status.hpp"
#include "messages/types.hpp"

namespace fl {

/// The category of our errors in CAF.
inline constexpr auto kErrorCategory = caf::atom("fl");

/// fl::Error as a CAF error, and back. Errors of CAF's own become `unreachable` (the receiver is gone),
/// `unavailable` (a request ran into its timeout) or `internal`.
caf::error to_caf(const Error& error);
Error from_caf(const caf::error& error);

/// Serialises the length, then the bytes in one piece.
caf::error inspect(caf::serializer& sink, Bytes& x);
/// Checks the claimed length against what was received before it takes memory for it.
caf::error inspect(caf::deserializer& source, Bytes& x);
inline void inspect(caf::detail::stringification_inspector& f, Bytes& x) {
  auto size = x.size();
  f(caf::meta::type_name("fl::Bytes"), size);
}

}  // namespace fl

CAF_BEGIN_TYPE_ID_BLOCK(fl_messages, caf::first_custom_type_id)

CAF_ADD_TYPE_ID(fl_messages, (fl::Bytes))
CAF_ADD_TYPE_ID(fl_messages, (fl::Introduction))
CAF_ADD_TYPE_ID(fl_messages, (fl::Challenge))
CAF_ADD_TYPE_ID(fl_messages, (fl::Proof))
CAF_ADD_TYPE_ID(fl_messages, (fl::Hello))
CAF_ADD_TYPE_ID(fl_messages, (fl::Welcome))
CAF_ADD_TYPE_ID(fl_messages, (fl::Ready))
CAF_ADD_TYPE_ID(fl_messages, (fl::Task))
CAF_ADD_TYPE_ID(fl_messages, (fl::Assignment))
CAF_ADD_TYPE_ID(fl_messages, (fl::UploadOffer))
CAF_ADD_TYPE_ID(fl_messages, (fl::Chunk))
CAF_ADD_TYPE_ID(fl_messages, (fl::Receipt))
CAF_ADD_TYPE_ID(fl_messages, (fl::Evaluation))
CAF_ADD_TYPE_ID(fl_messages, (fl::RunStatus))

CAF_END_TYPE_ID_BLOCK(fl_messages)
