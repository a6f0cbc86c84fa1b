#include "runtime/completion.hpp"

#include <doctest/doctest.h>

#include <cstdio>

#include "runtime/config_schema.hpp"
#include "runtime/help_text.hpp"
#include "runtime/manual_page.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace fl;
using fl::test::holds_all;

namespace {

std::string output_of(const std::string& command) {
  auto* const pipe = ::popen((command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  auto text = std::string();
  for (auto c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
  ::pclose(pipe);
  return text;
}

/// What bash offers after `line`, one a line.
std::string completions_of(const test::TemporaryFolder& folder, const std::string& line) {
  test::write_text(folder / "completions", completion_script(Shell::bash));
  test::write_text(folder / "ask", "cd " + folder.path().string() + "\n. ./completions\nCOMP_LINE='" + line +
                                       "'\nCOMP_POINT=${#COMP_LINE}\n_fl_actor_node\n"
                                       "printf '%s\\n' \"${COMPREPLY[@]}\"\n");
  return output_of("bash " + (folder / "ask").string());
}

bool has_zsh() {
  return output_of("command -v zsh").find("zsh") != std::string::npos;
}

}  // namespace

TEST_CASE("the table of commands says what each takes") {
  const auto table = command_table();
  const auto find = [](const auto& list, const std::string& name) {
    const auto found = std::ranges::find_if(list, [&](const auto& one) { return one.name == name; });
    REQUIRE(found != list.end());
    return *found;
  };
  CHECK(find(table.options, "--role").value == "simulate|aggregator|client");
  CHECK(find(table.options, "--resume").value.empty());
  CHECK(find(table.options, "--help").value.empty());
  CHECK(find(find(table.commands, "config").commands, "check").arguments.at(0).value == "FILE");
  CHECK(find(table.commands, "export").arguments.at(0).value == "RUN_DIR");
}

TEST_CASE("every command and option is in the help") {
  const auto help = help_text();
  const auto check = [&](const auto& self, const CommandSpec& command) -> void {
    CAPTURE(command.name);
    CHECK(help.find(command.name) != std::string::npos);
    for (const auto& option : command.options) {
      CAPTURE(option.name);
      if (option.name != "--days") CHECK(help.find(option.name) != std::string::npos);
    }
    for (const auto& inner : command.commands) self(self, inner);
  };
  check(check, command_table());
}

TEST_CASE("bash completes commands, options, choices, files and settings") {
  const auto folder = test::TemporaryFolder();
  test::write_text(folder / "run one.toml", "");
  std::filesystem::create_directory(folder / "runs");
  const auto after = [&](const std::string& line) { return completions_of(folder, line); };
  CHECK(after("fl_actor_node in") == "inspect\n");
  CHECK(after("fl_actor_node --ro") == "--role\n");
  CHECK(after("fl_actor_node --role ") == "simulate\naggregator\nclient\n");
  CHECK(after("fl_actor_node --role=ag") == "aggregator\n");
  CHECK(after("fl_actor_node --role client --join host --name st") == "\n");
  CHECK(holds_all(after("fl_actor_node --config run"), {"run one.toml\n", "runs\n"}));
  CHECK(after("fl_actor_node status ru") == "runs\n");
  CHECK(after("fl_actor_node config ") == "show\ncheck\ndefault\ndocs\n");
  CHECK(after("fl_actor_node config show --s") == "--set\n");
  CHECK(after("fl_actor_node keys client ann --d") == "--dir\n--days\n");
  CHECK(after("fl_actor_node export runs --format u") == "updates-csv\n");
  CHECK(after("fl_actor_node --set run.se") == "run.seed=\n");
  CHECK(after("fl_actor_node --set log.json=") == "true\nfalse\n");
  CHECK(after("fl_actor_node --set log.json=true --set strategy.name=fedav") == "fedavg\nfedavg_async\n");
  CHECK(after("fl_actor_node replay runs ") == "runs\n");
}

TEST_CASE("both scripts know every key; zsh can read its own") {
  const auto folder = test::TemporaryFolder();
  for (const auto shell : {Shell::bash, Shell::zsh}) {
    const auto script = completion_script(shell);
    for (const auto& key : config_keys()) CHECK(script.find(key.name + "=") != std::string::npos);
  }
  CHECK(completion_script(Shell::zsh).starts_with("#compdef fl_actor_node\n"));
  if (!has_zsh()) {
    MESSAGE("zsh is not installed: its script is not run");
    return;
  }
  test::write_text(folder / "completions", completion_script(Shell::zsh));
  // Stands for zsh's own completion system.
  test::write_text(folder / "ask", R"(
compdef() { : }
compset() { PREFIX=${PREFIX#*=} }
compadd() { print -rl -- "$@" }
_files() { print files "$@" }
. $1/completions
words=("${(@)argv[2,-1]}") CURRENT=$((ARGC - 1)) PREFIX=${argv[-1]}
_fl_actor_node
)");
  const auto after = [&](const std::string& words) {
    const auto path = folder.path().string();
    return output_of("zsh -f " + path + "/ask " + path + " fl_actor_node " + words);
  };
  CHECK(holds_all(after("''"), {"status\n", "inspect\n", "--role\n"}));
  CHECK(after("--role ''") == "--\nsimulate\naggregator\nclient\n");
  CHECK(after("--set log.json=") == "--\ntrue\nfalse\n");
  CHECK(holds_all(after("inspect ''"), {"files\n", "files -/\n", "--json\n"}));
}

TEST_CASE("the manual page has the help's sections, in the order of manuals") {
  const auto page = manual_page(
      "prog does a thing.\n\nUsage:\n  prog --x   [FILE]\n\nOptions:\n  --x FILE   what it is\n"
      "             and more\n  .dot       'quoted'\n\nExit codes:\n  0    done\n\nSee also: other.\n");
  CHECK(page.find(".SH SYNOPSIS\n.nf\nprog \\-\\-x   [FILE]\n.fi\n.SH DESCRIPTION\nprog does a thing.\n"
                  "See also: other.\n.SH OPTIONS\n.TP\n.B \\-\\-x FILE\nwhat it is\nand more\n.TP\n.B "
                  "\\&.dot\n\\&'quoted'\n.SH EXIT STATUS\n.TP\n.B 0\ndone\n") != std::string::npos);
  CHECK(holds_all(manual_page(help_text()), {".TH FL_ACTOR_NODE 1", "inspect FILE|RUN_DIR", ".SH EXAMPLES"}));
}
