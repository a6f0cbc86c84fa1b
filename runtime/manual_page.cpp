#include "runtime/manual_page.hpp"

#include <algorithm>
#include <vector>

namespace fl {

namespace {

/// Text that roff prints as it is.
std::string escaped(std::string_view text) {
  auto result = std::string();
  if (text.starts_with('.') || text.starts_with('\'')) result += "\\&";
  for (const auto c : text) {
    if (c == '\\')
      result += "\\e";
    else if (c == '-')
      result += "\\-";
    else
      result += c;
  }
  return result;
}

std::string_view trimmed_left(std::string_view text) {
  return text.substr(std::min(text.size(), text.find_first_not_of(' ')));
}

std::size_t indentation(std::string_view line) {
  return line.size() - trimmed_left(line).size();
}

/// "Exit codes" is called EXIT STATUS in manuals, "Usage" SYNOPSIS.
std::string title_of(std::string_view heading) {
  if (heading == "Usage") return "SYNOPSIS";
  if (heading == "Exit codes") return "EXIT STATUS";
  auto title = std::string(heading);
  std::ranges::transform(title, title.begin(), [](unsigned char c) { return std::toupper(c); });
  return title;
}

using Lines = std::vector<std::string_view>;

Lines lines_of(std::string_view text) {
  auto lines = Lines();
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    lines.push_back(line);
  }
  return lines;
}

/// "  --out DIR    where to": the two parts, apart by two spaces or more. Without the second it is no entry.
std::pair<std::string_view, std::string_view> entry_of(std::string_view line) {
  const auto text = trimmed_left(line);
  const auto gap = text.find("  ");
  if (gap == std::string_view::npos) return {text, {}};
  return {text.substr(0, gap), trimmed_left(text.substr(gap))};
}

/// Every line at the list's own indentation begins an entry, others go on with one.
std::string list_text(const Lines& lines) {
  auto text = std::string();
  for (const auto line : lines) {
    const auto [name, meaning] = entry_of(line);
    if (indentation(line) == indentation(lines.front()))
      text += ".TP\n.B " + escaped(name) + "\n" + escaped(meaning) + (meaning.empty() ? "" : "\n");
    else
      text += escaped(trimmed_left(line)) + "\n";
  }
  return text;
}

std::string verbatim(const Lines& lines) {
  auto text = std::string(".nf\n");
  for (const auto line : lines) text += escaped(line.substr(std::min<std::size_t>(2, line.size()))) + "\n";
  return text + ".fi\n";
}

std::string paragraph(const Lines& lines) {
  auto text = std::string();
  for (const auto line : lines) text += escaped(line) + "\n";
  return text;
}

std::string section(std::string_view heading, const Lines& lines) {
  if (lines.empty()) return {};
  const auto title = title_of(heading);
  const auto is_list = title == "OPTIONS" || title == "EXIT STATUS";
  return ".SH " + title + "\n" + (is_list ? list_text(lines) : verbatim(lines));
}

}  // namespace

std::string manual_page(std::string_view help) {
  auto page = std::string(".TH FL_ACTOR_NODE 1 \"\" \"fl_actor " FL_VERSION
                          "\" \"User Commands\"\n.SH NAME\nfl_actor_node \\- federated learning: aggregator, "
                          "client, simulation and the tools for their runs\n");
  auto description = std::string();
  auto sections = std::string();
  auto heading = std::string_view();
  auto lines = Lines();
  const auto end_section = [&] {
    if (heading.empty())
      description += paragraph(lines);
    else
      sections += section(heading, lines);
    lines.clear();
  };
  for (const auto line : lines_of(help)) {
    if (line.empty()) continue;
    const auto begins_section = indentation(line) == 0 && line.ends_with(':');
    const auto ends_section = indentation(line) == 0 && !heading.empty();
    if (begins_section || ends_section) {
      end_section();
      heading = begins_section ? line.substr(0, line.size() - 1) : std::string_view();
    }
    if (!begins_section) lines.push_back(line);
  }
  end_section();
  // Manuals have the synopsis in front of the description.
  const auto synopsis = sections.find(".SH ", 1);
  return page + sections.substr(0, synopsis) + ".SH DESCRIPTION\n" + description +
         sections.substr(std::min(synopsis, sections.size()));
}

}  // namespace fl
