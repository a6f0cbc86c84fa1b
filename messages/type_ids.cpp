#include "messages/type_ids.hpp"

#include <limits>

namespace fl {

caf::error to_caf(const Error& error) {
  return {static_cast<std::uint8_t>(error.code), kErrorCategory, caf::make_message(error.text)};
}

Error from_caf(const caf::error& error) {
  if (!error) return {ec::none, {}};
  if (error.category() == kErrorCategory) {
    const auto& context = error.context();
    return {static_cast<ec>(error.code()),
            context.match_elements<std::string>() ? context.get_as<std::string>(0) : ""};
  }
  if (error == caf::sec::request_receiver_down || error == caf::sec::cannot_connect_to_node ||
      error == caf::sec::remote_lookup_failed || error == caf::sec::no_route_to_receiving_node)
    return {ec::unreachable, "the peer is gone or cannot be reached"};
  if (error == caf::sec::request_timeout) return {ec::unavailable, "the peer did not answer in time"};
  return {ec::internal, caf::to_string(error)};
}

caf::error inspect(caf::serializer& sink, Bytes& x) {
  const auto bytes = x.view();
  if (bytes.size() > std::numeric_limits<std::uint32_t>::max()) return caf::sec::invalid_argument;
  auto size = static_cast<std::uint32_t>(bytes.size());
  if (auto error = sink(size)) return error;
  // CAF has one function for both directions; a sink only reads.
  return sink.apply_raw(bytes.size(), const_cast<std::byte*>(bytes.data()));
}

caf::error inspect(caf::deserializer& source, Bytes& x) {
  auto size = std::uint32_t{0};
  if (auto error = source(size)) return error;
  if (const auto* binary = dynamic_cast<caf::binary_deserializer*>(&source);
      binary && size > binary->remaining())
    return caf::sec::end_of_stream;
  auto failed = caf::error();
  auto loaded = Bytes::make(size, [&](std::span<std::byte> out) -> Result<void> {
    failed = source.apply_raw(out.size(), out.data());
    return {};
  });
  x = std::move(*loaded);
  return failed;
}

}  // namespace fl
