// The table for people: config.toml, configs/default.toml and docs/configuration.md.
#include <algorithm>
#include <sstream>

#include "runtime/config_schema.hpp"

namespace fl {

namespace {

constexpr std::size_t kCommentColumns = 100;

/// `text` as comment lines. Counts bytes, which is close enough for the few letters beyond ASCII.
std::string comment(const std::string& text) {
  auto words = std::istringstream(text);
  auto result = std::string();
  auto line = std::string("#");
  for (auto word = std::string(); words >> word;) {
    if (line.size() + 1 + word.size() > kCommentColumns && line.size() > 1) {
      result += line + "\n";
      line = "#";
    }
    line += " " + word;
  }
  return result + line + "\n";
}

std::string joined(const std::vector<std::string>& words, const std::string& separator) {
  auto text = std::string();
  for (const auto& word : words) text += (text.empty() ? "" : separator) + word;
  return text;
}

std::string quoted(const std::string& word) {
  return "\"" + word + "\"";
}

/// What is allowed, in a few words; `mark` puts code in the marks of the format.
template <class Mark>
std::string allowed(const ConfigKey& key, Mark mark) {
  if (!key.choices.empty()) {
    auto choices = std::vector<std::string>();
    for (const auto& choice : key.choices) choices.push_back(mark(quoted(choice)));
    return joined(choices, ", ");
  }
  auto text = std::string(with_article(key.type));
  if (const auto range = key.range.to_string(); !range.empty())
    text += (key.type == ConfigType::numbers ? ", each " : " ") + range;
  if (!key.word.empty()) text += ", or " + mark(quoted(key.word));
  return text;
}

bool is_given(const ConfigKey& key, const Config& config) {
  return !key.given || key.given(config);
}

}  // namespace

std::string to_toml(const Config& config) {
  auto text = std::string(
      "# The settings of this run, as resolved; written by fl_actor_node. configs/default.toml explains "
      "them.\n");
  auto section = std::string();
  for (const auto& key : config_keys()) {
    if (key.section() != section) {
      section = key.section();
      text += "\n[" + section + "]\n";
    }
    if (key.secret && key.get(config) != key.get(Config())) {
      text += "# " + key.last_name() + " is not kept here: give it again with --set " + key.name + "=…\n";
      continue;
    }
    const auto line = key.last_name() + " = " + to_toml(key.get(config));
    // Commented out, the value goes on following the keys that decide it when this file is read again.
    text += is_given(key, config) ? line + "\n" : "# " + line + "  (the default: " + key.default_note + ")\n";
  }
  return text;
}

std::string default_toml() {
  const auto config = default_config();
  auto text = comment(
      "Every setting of fl_actor_node with its default. Copy what you want to change into a file of your own "
      "and "
      "pass that with --config; single values can be set with --set KEY=VALUE, such as --set "
      "run.seed=2.");
  text +=
      "#\n" +
      comment(
          "Generated from the program's table of keys: fl_actor_node config default > configs/default.toml");
  for (const auto& section : config_sections()) {
    text += "\n\n" + comment(section.sentence) + "[" + section.name + "]\n";
    for (const auto& key : config_keys()) {
      if (key.section() != section.name) continue;
      text += "\n" + comment(key.documentation);
      text += comment("Allowed: " + allowed(key, [](const std::string& code) { return code; }) + ".");
      if (!key.default_note.empty()) text += comment("Default: " + key.default_note + ".");
      text += (is_given(key, config) ? "" : "# ") + key.last_name() + " = " + to_toml(key.get(config)) + "\n";
    }
  }
  return text;
}

std::string configuration_reference() {
  const auto config = default_config();
  const auto code = [](const std::string& word) { return "`" + word + "`"; };
  auto text = std::string(
      "# Configuration\n"
      "\n"
      "<!-- Generated from the program's table of keys: fl_actor_node config docs > docs/configuration.md "
      "-->\n"
      "\n"
      "Settings come from three places, later ones win: the defaults below, a TOML file (`--config FILE`), "
      "and\n"
      "`--set KEY=VALUE` on the command line. `--set` reads its value by the key's type: strings need no "
      "quotes, integers\n"
      "serve as numbers, lists are `[1, 1, 10]` or `1,1,10`. An unknown key or a bad value ends the program "
      "with exit\n"
      "code 2 and a message that names the key, the file, the line and the nearest valid key.\n"
      "\n"
      "`fl_actor_node config show [--config FILE] [--set KEY=VALUE]…` prints the settings as a run would use "
      "them; every run\n"
      "writes the same to `config.toml` in its folder. `configs/default.toml` holds all keys with their "
      "explanations.\n"
      "\n"
      "Durations are in seconds and end in `_s` or `_seconds`, sizes in bytes end in `_bytes`, shares and "
      "probabilities lie\n"
      "between 0 and 1. Keys marked *run* make a run what it is: `--resume` refuses a folder in which they "
      "differ. All\n"
      "others may change from one start to the next.\n");
  for (const auto& section : config_sections()) {
    text += "\n## " + code("[" + section.name + "]") + "\n\n" + section.sentence + "\n\n";
    text += "| key | default | allowed | meaning |\n|---|---|---|---|\n";
    for (const auto& key : config_keys()) {
      if (key.section() != section.name) continue;
      const auto default_text = key.default_note.empty() ? code(to_toml(key.get(config))) : key.default_note;
      text += "| " + code(key.name) + (key.identity ? " *run*" : "") + " | " + default_text + " | " +
              allowed(key, code) + " | " + key.documentation + " |\n";
    }
  }
  return text;
}

}  // namespace fl
