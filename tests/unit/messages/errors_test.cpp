#include "messages/errors.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

#include "messages/type_ids.hpp"

using namespace fl;

namespace {

constexpr auto kLast = static_cast<unsigned>(ec::internal);

}  // namespace

TEST_CASE("every error has a name of its own and a sentence") {
  auto names = std::set<std::string_view>();
  for (auto value = 0u; value <= kLast; ++value) {
    const auto code = static_cast<ec>(value);
    CHECK(name_of(code) != "unknown");
    CHECK(names.insert(name_of(code)).second);
    CHECK(sentence_of(code).size() > 5);
    CHECK(sentence_of(code).back() == '.');
  }
  CHECK(name_of(static_cast<ec>(kLast + 1)) == "unknown");
  CHECK(name_of(static_cast<ec>(255)) == "unknown");
}

TEST_CASE("errors pass through CAF and keep code and text") {
  for (auto value = 1u; value <= kLast; ++value) {
    const auto error = Error{static_cast<ec>(value), "text " + std::to_string(value)};
    const auto back = from_caf(to_caf(error));
    CHECK(back.code == error.code);
    CHECK(back.text == error.text);
  }
  CHECK(from_caf(caf::error()).code == ec::none);
  CHECK(from_caf(caf::error(static_cast<std::uint8_t>(ec::too_stale), kErrorCategory)).text.empty());
}

TEST_CASE("CAF's own errors become ours") {
  CHECK(from_caf(caf::make_error(caf::sec::request_receiver_down)).code == ec::unreachable);
  CHECK(from_caf(caf::make_error(caf::sec::cannot_connect_to_node)).code == ec::unreachable);
  CHECK(from_caf(caf::make_error(caf::sec::no_route_to_receiving_node)).code == ec::unreachable);
  CHECK(from_caf(caf::make_error(caf::sec::request_timeout)).code == ec::unavailable);
  CHECK(from_caf(caf::make_error(caf::sec::runtime_error)).code == ec::internal);
  CHECK_FALSE(from_caf(caf::make_error(caf::sec::runtime_error)).text.empty());
}

TEST_CASE("an error reads as name and text") {
  CHECK(to_string(Error{ec::bad_data, "no file"}) == "bad_data: no file");
  CHECK(to_string(Error{ec::bad_data, ""}) == "bad_data");
}

TEST_CASE("bad luck is no offence") {
  for (const auto code : {ec::not_finite, ec::wrong_length, ec::layout_mismatch, ec::bad_claim,
                          ec::corrupt_data, ec::norm_too_large, ec::flood})
    CHECK(is_offence(code));
  for (const auto code :
       {ec::none, ec::unknown_lease, ec::unknown_base, ec::too_stale, ec::duplicate_update, ec::run_over,
        ec::store_full, ec::io_failed, ec::unavailable, ec::cancelled, ec::quarantined, ec::internal})
    CHECK_FALSE(is_offence(code));
}
