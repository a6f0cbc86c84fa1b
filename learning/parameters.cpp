#include "learning/parameters.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <bit>
#include <stdexcept>
#include <utility>

#include "messages/envelope.hpp"

namespace fl {

static_assert(std::endian::native == std::endian::little, "sha256 is over little-endian values");

Parameters::Parameters(LayoutPtr layout) : layout_(std::move(layout)), buffer_(layout_->size_bytes()) {}

Parameters Parameters::zeros(LayoutPtr layout) {
  auto parameters = Parameters(std::move(layout));
  std::ranges::fill(parameters.values(), 0.0f);
  return parameters;
}

Parameters Parameters::clone() const {
  if (!layout_) return {};
  auto copy = Parameters(layout_);
  std::ranges::copy(values(), copy.values().begin());
  return copy;
}

std::uint64_t values_hash_of(const Parameters& parameters) {
  return hash_of(std::as_bytes(parameters.values()));
}

std::string Parameters::sha256() const {
  auto digest = std::array<unsigned char, 32>();
  if (EVP_Digest(bytes().data(), bytes().size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1) {
    throw std::runtime_error("OpenSSL refused to compute SHA-256");
  }
  constexpr auto kDigits = std::string_view("0123456789abcdef");
  auto text = std::string();
  for (const auto byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace fl
