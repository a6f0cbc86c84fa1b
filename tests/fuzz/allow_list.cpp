// The list of clients that may join.
#include "runtime/credentials.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace fl::fuzz {

namespace {

void run(Input input) {
  const auto list = parse_allow_list(text_of(input), "allow_list");
  if (!list) {
    require(list.error().code == ec::bad_config && list.error().text.starts_with("allow_list:"),
            "a bad line is named");
    return;
  }
  auto text = std::string();
  for (const auto& [name, key] : *list) {
    require(is_client_name(name), "only names of clients are listed");
    text += allow_list_line(name, key);
  }
  const auto again = parse_allow_list(text, "again");
  require(again && *again == *list, "a list comes back the same");
}

std::vector<Seed> seeds() {
  const auto* const key = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
  return {{"one", bytes_of(std::string("# clients\nward-1 ") + key + "\n")},
          {"two", bytes_of(std::string("a ") + key + "\r\n\tb.c " + key + " # remark\n\n")},
          {"bad", bytes_of("ward-1 abc\n")},
          {"empty", bytes_of("# nobody\n")}};
}

const auto registration = Registration({"allow_list", run, seeds});

}  // namespace

}  // namespace fl::fuzz
