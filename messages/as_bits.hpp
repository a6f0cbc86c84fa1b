// Numbers in messages between nodes.
#pragma once

#include <bit>
#include <caf/error.hpp>
#include <caf/meta/load_callback.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fl {

/// A double that travels as its bits: `f(x.task, as_bits(x.weight))`. CAF 0.17.6 packs numbers by arithmetic,
/// which never ends for an infinity (a loss that has diverged, or what a peer sends) and makes something else
/// of NaN.
struct AsBits {
  double& value;
};

inline AsBits as_bits(double& value) {
  return {value};
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, AsBits& x) {
  auto bits = std::bit_cast<std::uint64_t>(x.value);
  const auto load = [&]() -> caf::error {
    x.value = std::bit_cast<double>(bits);
    return caf::none;
  };
  return f(bits, caf::meta::load_callback(load));
}

/// The same for a list of numbers.
struct ListAsBits {
  std::vector<double>& values;
};

inline ListAsBits as_bits(std::vector<double>& values) {
  return {values};
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, ListAsBits& x) {
  auto bits = std::vector<std::uint64_t>();
  for (const auto value : x.values) bits.push_back(std::bit_cast<std::uint64_t>(value));
  const auto load = [&]() -> caf::error {
    x.values.clear();
    for (const auto value : bits) x.values.push_back(std::bit_cast<double>(value));
    return caf::none;
  };
  return f(bits, caf::meta::load_callback(load));
}

/// The same for numbers by name.
struct MapAsBits {
  std::map<std::string, double>& values;
};

inline MapAsBits as_bits(std::map<std::string, double>& values) {
  return {values};
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, MapAsBits& x) {
  auto bits = std::map<std::string, std::uint64_t>();
  for (const auto& [name, value] : x.values) bits[name] = std::bit_cast<std::uint64_t>(value);
  const auto load = [&]() -> caf::error {
    x.values.clear();
    for (const auto& [name, value] : bits) x.values[name] = std::bit_cast<double>(value);
    return caf::none;
  };
  return f(bits, caf::meta::load_callback(load));
}

}  // namespace fl
