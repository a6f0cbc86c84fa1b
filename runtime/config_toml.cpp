#include <toml++/toml.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "runtime/config_values.hpp"

namespace fl {

namespace {

/// A value in the file with its dotted name.
struct Leaf {
  std::string name;
  const toml::node* node = nullptr;
  std::uint32_t line = 0;
};

bool is_section(const std::string& name) {
  const auto& sections = config_sections();
  return std::any_of(sections.begin(), sections.end(), [&](const auto& section) {
    return section.name == name || section.name.starts_with(name + ".");
  });
}

/// An empty table of an unknown name is a leaf too: it must not go unnoticed.
void collect(const toml::table& table, const std::string& prefix, std::vector<Leaf>& leaves) {
  for (const auto& [key, node] : table) {
    const auto name = prefix + std::string(key.str());
    if (const auto* inner = node.as_table(); inner && (!inner->empty() || is_section(name)))
      collect(*inner, name + ".", leaves);
    else
      leaves.push_back({name, &node, key.source().begin.line});
  }
}

std::string described(const toml::node& node) {
  auto text = std::ostringstream();
  if (node.is_string())
    text << to_toml(ConfigValue(node.as_string()->get())) << " is a string";
  else if (node.is_integer())
    text << node.as_integer()->get() << " is an integer";
  else if (node.is_floating_point())
    text << to_toml(ConfigValue(node.as_floating_point()->get())) << " is a floating-point number";
  else if (node.is_boolean())
    text << (node.as_boolean()->get() ? "true" : "false") << " is a boolean";
  else if (node.is_array())
    text << "it is a list";
  else if (node.is_table())
    text << "it is a section";
  else
    text << "it is a date or time";
  return text.str();
}

std::optional<double> as_number(const toml::node& node) {
  if (const auto* integer = node.as_integer()) return static_cast<double>(integer->get());
  if (const auto* number = node.as_floating_point()) return number->get();
  return std::nullopt;
}

/// Every element by `convert`; none when the node is no list or an element does not fit.
template <class Element, class ConvertElement>
std::optional<ConfigValue> as_list(const toml::node& node, ConvertElement convert) {
  const auto* array = node.as_array();
  if (!array) return std::nullopt;
  auto values = std::vector<Element>();
  for (const auto& element : *array) {
    auto value = convert(element);
    if (!value) return std::nullopt;
    values.push_back(std::move(*value));
  }
  return values;
}

std::optional<ConfigValue> convert(const toml::node& node, ConfigType type) {
  switch (type) {
    case ConfigType::boolean:
      if (const auto* value = node.as_boolean()) return value->get();
      break;
    case ConfigType::integer:
      if (const auto* value = node.as_integer()) return value->get();
      break;
    case ConfigType::number:
      if (const auto value = as_number(node)) return *value;
      break;
    case ConfigType::text:
      if (const auto* value = node.as_string()) return value->get();
      break;
    case ConfigType::numbers:
      return as_list<double>(node, as_number);
    case ConfigType::texts:
      return as_list<std::string>(node,
                                  [](const toml::node& element) { return element.value<std::string>(); });
  }
  return std::nullopt;
}

Result<GivenValue> read_leaf(const Leaf& leaf, const std::string& file) {
  const auto where = file + ":" + std::to_string(leaf.line);
  const auto* key = find_config_key(leaf.name);
  if (!key) return unknown_key(where, leaf.name);
  if (const auto* word = leaf.node->as_string(); word && !key->word.empty() && word->get() == key->word)
    return GivenValue{key, key->word, where};
  auto value = convert(*leaf.node, key->type);
  if (!value) return wrong_type(where, *key, described(*leaf.node));
  return GivenValue{key, std::move(*value), where};
}

}  // namespace

Result<std::vector<GivenValue>> read_toml(std::string_view toml, const std::string& name) {
  auto leaves = std::vector<Leaf>();
  auto values = std::vector<GivenValue>();
  try {
    const auto table = toml::parse(toml, name);
    collect(table, "", leaves);
    std::stable_sort(leaves.begin(), leaves.end(),
                     [](const auto& a, const auto& b) { return a.line < b.line; });
    for (const auto& leaf : leaves) {
      auto value = read_leaf(leaf, name);
      if (!value) return tl::unexpected(value.error());
      values.push_back(std::move(*value));
    }
  } catch (const toml::parse_error& error) {
    const auto& at = error.source().begin;
    return fail(ec::bad_config, name + ":" + std::to_string(at.line) + ": column " +
                                    std::to_string(at.column) +
                                    ": not valid TOML: " + std::string(error.description()));
  }
  return values;
}

}  // namespace fl
