#include "runtime/completion.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <vector>

#include "runtime/config_schema.hpp"

namespace fl {

namespace {

using Words = std::vector<std::string>;

/// What may stand for a value, as words of the script: choices as they are, FILE, DIR or SETTING for what the
/// shell or the script lists itself, and NOTHING for what nobody can know. `value` is an OptionSpec's.
Words candidates_for(const std::string& value) {
  auto words = Words();
  for (auto rest = std::string_view(value); !rest.empty();) {
    const auto word = rest.substr(0, rest.find('|'));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    const auto is_choice = std::ranges::all_of(
        word, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
    if (is_choice) words.emplace_back(word);
    if (word == "FILE") words.emplace_back("FILE");
    if (word.ends_with("DIR")) words.emplace_back("DIR");
    if (word == "KEY=VALUE") words.emplace_back("SETTING");
  }
  return words.empty() ? Words{"NOTHING"} : words;
}

std::string one_line(const Words& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

/// The branches of two `case` statements: what to do with a word, and what may come where none is awaited.
struct Branches {
  std::map<std::string, Words> awaiting;  ///< candidates → "COMMAND:--option" patterns
  Words commands;                         ///< "COMMAND:NAME" patterns that lead to COMMAND/NAME
  std::string places;                     ///< a branch for each command
};

/// `path` is "" for the program, "/config/show" for its command `config show`.
void add_branches(const CommandSpec& spec, const std::string& path, Branches& branches) {
  auto words = Words();
  for (const auto& argument : spec.arguments)
    for (const auto& word : candidates_for(argument.value)) words.push_back(word);
  for (const auto& command : spec.commands) {
    words.push_back(command.name);
    branches.commands.push_back(path + ":" + command.name);
  }
  for (const auto& option : spec.options) {
    words.push_back(option.name);
    if (!option.value.empty())
      branches.awaiting[one_line(candidates_for(option.value))].push_back(path + ":" + option.name);
  }
  branches.places += fmt::format("    ('{}') expects='{}' ;;\n", path, one_line(words));
  for (const auto& command : spec.commands) add_branches(command, path + "/" + command.name, branches);
}

/// The values that a key can have, as far as they can be listed.
Words values_of(const ConfigKey& key) {
  auto words = Words();
  if (key.type == ConfigType::boolean) words = {"true", "false"};
  words.insert(words.end(), key.choices.begin(), key.choices.end());
  if (!key.word.empty()) words.push_back(key.word);
  return words;
}

/// Functions that both shells understand.
std::string common_part() {
  auto branches = Branches();
  add_branches(command_table(), "", branches);
  auto script =
      std::string(R"(# Given the words between the program and the cursor, sets `expects`: what may come next.
_fl_actor_node_expects() {
  local word place=''
  expects=''
  for word in "$@"; do
    if [ -n "$expects" ]; then expects=''; continue; fi
    case "$place:$word" in
)");
  for (const auto& [candidates, patterns] : branches.awaiting)
    script += fmt::format("      ({}) expects='{}' ;;\n", fmt::join(patterns, "|"), candidates);
  script += fmt::format("      ({}) place=\"$place/$word\" ;;\n", fmt::join(branches.commands, "|"));
  script += R"(    esac
  done
  if [ -n "$expects" ]; then return; fi
  case "$place" in
)";
  script += branches.places + "  esac\n}\n\n# The values of the setting $1, in `expects`.\n";
  script += "_fl_actor_node_values() {\n  expects=''\n  case \"$1\" in\n";
  auto keys = Words();
  for (const auto& key : config_keys()) {
    keys.push_back(key.name + "=");
    if (const auto values = values_of(key); !values.empty())
      script += fmt::format("    ({}) expects='{}' ;;\n", key.name, one_line(values));
  }
  return script + "  esac\n}\n\n_fl_actor_node_keys='" + one_line(keys) + "'\n\n";
}

constexpr auto kBash = R"(_fl_actor_node() {
  # Not COMP_WORDS, which bash also cuts at "=" and ":".
  local line=${COMP_LINE:0:COMP_POINT} current='' expects word option
  local -a words
  read -ra words <<< "$line"
  if [[ $line != *[[:space:]] ]]; then
    current=${words[-1]}
    unset 'words[-1]'
  fi
  # --option=value is --option value.
  if [[ $current == --*=* ]]; then
    words+=("${current%%=*}")
    current=${current#*=}
  fi
  _fl_actor_node_expects "${words[@]:1}"
  COMPREPLY=()
  for word in $expects; do
    case $word in
      (FILE)
        compopt -o filenames 2> /dev/null
        mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$current") ;;
      (DIR)
        compopt -o filenames 2> /dev/null
        mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- "$current") ;;
      (SETTING)
        if [[ $current == *=* ]]; then
          _fl_actor_node_values "${current%%=*}"
          COMPREPLY=($(compgen -P "${current%%=*}=" -W "$expects" -- "${current#*=}"))
        else
          compopt -o nospace 2> /dev/null
          COMPREPLY=($(compgen -W "$_fl_actor_node_keys" -- "$current"))
        fi
        break ;;
      (NOTHING) ;;
      (--*) if [[ $current == -* ]]; then COMPREPLY+=($(compgen -W "$word" -- "$current")); fi ;;
      (*) COMPREPLY+=($(compgen -W "$word" -- "$current")) ;;
    esac
  done
  # Where nothing else fits, options.
  if [[ ${#COMPREPLY[@]} == 0 && -z $current && $expects != NOTHING ]]; then
    COMPREPLY=($(compgen -W "$expects" -- --))
  fi
  # bash replaces only what comes behind its last "=" or ":".
  option=${current%"${current##*[=:]}"}
  COMPREPLY=("${COMPREPLY[@]#"$option"}")
}
complete -F _fl_actor_node fl_actor_node
)";

constexpr auto kZsh = R"(_fl_actor_node() {
  local expects word key
  local -a plain
  if [[ $PREFIX == --*=* ]]; then
    _fl_actor_node_expects "${(@)words[2,CURRENT-1]}" "${PREFIX%%=*}"
    compset -P 1 '*='
  else
    _fl_actor_node_expects "${(@)words[2,CURRENT-1]}"
  fi
  for word in ${=expects}; do
    case $word in
      (FILE) _files ;;
      (DIR) _files -/ ;;
      (SETTING)
        if [[ $PREFIX == *=* ]]; then
          key=${PREFIX%%=*}
          compset -P 1 '*='
          _fl_actor_node_values "$key"
          compadd -- ${=expects}
        else
          compadd -S '' -- ${=_fl_actor_node_keys}
        fi
        return ;;
      (NOTHING) ;;
      (*) plain+=("$word") ;;
    esac
  done
  compadd -- "${(@)plain}"
}
# Autoloaded, the first call is a completion; sourced, it is not.
if [[ $funcstack[1] == _fl_actor_node ]]; then
  _fl_actor_node "$@"
else
  compdef _fl_actor_node fl_actor_node
fi
)";

}  // namespace

std::string completion_script(Shell shell) {
  if (shell == Shell::bash)
    return "# Completions of fl_actor_node for bash: made by `fl_actor_node completion bash`.\n\n" +
           common_part() + kBash;
  return "#compdef fl_actor_node\n# Completions of fl_actor_node for zsh: made by `fl_actor_node completion "
         "zsh`.\n\n" +
         common_part() + kZsh;
}

}  // namespace fl
