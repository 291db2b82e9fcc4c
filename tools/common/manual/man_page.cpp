#include "tools/common/manual/man_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace jvmc::tools {

namespace {

/// A text as roff sees it: no escapes, no requests, dashes that can be copied into a shell.
std::string roff(std::string_view text) {
  std::string out;
  bool lineBegins = true;
  for (char c : text) {
    if (lineBegins && (c == '.' || c == '\'')) out += "\\&";
    lineBegins = c == '\n';
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

std::string bold(std::string_view text) {
  return "\\fB" + roff(text) + "\\fR";
}
std::string italic(std::string_view text) {
  return "\\fI" + roff(text) + "\\fR";
}

/// Lines of a paragraph are joined by the formatter, those of a table are not.
std::string paragraph(const std::string& text) {
  return text.starts_with(' ') ? ".PP\n.nf\n" + roff(text) + "\n.fi\n" : ".PP\n" + roff(text) + '\n';
}

std::string heading(const OptionText& option) {
  if (option.isArgument()) return italic(option.name);
  std::string names;
  for (const auto* list : {&option.shortNames, &option.longNames})
    for (const std::string& name : *list) names += (names.empty() ? "" : ", ") + bold(name);
  return option.value.empty() ? names : names + " " + italic(option.value);
}

/// The pages are not about the account that made them.
std::string withoutHome(const std::string& path) {
  const char* home = std::getenv("HOME");
  const std::string folder = home ? std::string(home) + '/' : "";
  return folder.size() > 1 && path.starts_with(folder) ? "~/" + path.substr(folder.size()) : path;
}

std::string entry(const OptionText& option) {
  std::string text = ".TP\n" + heading(option) + '\n' + roff(option.description.empty() ? "-" : option.description);
  if (!text.ends_with('.')) text += '.';
  auto sentence = [&text](const std::string& words) { text += '\n' + words; };
  if (!option.choices.empty()) {
    std::string all;
    for (const std::string& choice : option.choices) all += (all.empty() ? "" : ", ") + bold(choice);
    sentence("One of " + all + '.');
  }
  if (option.required) sentence("Required.");
  if (!option.defaultValue.empty()) sentence("Default: " + bold(withoutHome(option.defaultValue)) + '.');
  if (!option.environment.empty()) sentence("Environment: " + bold(option.environment) + '.');
  return text + '\n';
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return char(std::toupper(c)); });
  return text;
}

std::string synopsis(const CommandText& command) {
  std::string text = ".SH SYNOPSIS\n" + bold(command.name());
  std::istringstream words(command.usage());
  for (std::string word; words >> word;) text += ' ' + italic(word);
  return text + '\n';
}

std::string commandList(const CommandText& tool) {
  std::string text = ".SH COMMANDS\n";
  for (const CommandText& sub : tool.commands)
    text += ".TP\n" + bold(sub.words.back()) + '\n' + roff(sub.summary) + ".\nSee " + bold(sub.name("-")) + "(1).\n";
  return text;
}

std::string examples(const CommandText& command) {
  std::string text = ".SH EXAMPLES\n.nf\n";
  for (const std::string& line : command.examples) text += roff(line) + '\n';
  return text + ".fi\n";
}

std::string seeAlso(const CommandText& tool, const CommandText& command) {
  std::vector<std::string> pages;
  if (&command != &tool) pages.push_back(tool.name("-"));
  for (const CommandText& sub : tool.commands)
    if (&sub != &command) pages.push_back(sub.name("-"));
  std::sort(pages.begin(), pages.end());
  std::string text = ".SH SEE ALSO\n";
  for (const std::string& page : pages) text += bold(page) + (&page == &pages.back() ? "(1)\n" : "(1),\n");
  return text;
}

}  // namespace

std::string manPageFile(const CommandText& command) {
  return command.name("-") + ".1";
}

std::string manPage(const CommandText& tool, const CommandText& command, const ManualEdition& edition) {
  std::string summary = command.summary;
  if (summary.ends_with('.')) summary.pop_back();
  std::string page = fmt::format(".TH {} 1 {} \"{}\"\n.SH NAME\n{} \\- {}\n", upper(roff(command.name("-"))),
                                 edition.date, roff(edition.version), roff(command.name("-")), roff(summary)) +
                     synopsis(command) + ".SH DESCRIPTION\n" + roff(command.summary) +
                     (summary == command.summary ? ".\n" : "\n");
  for (const std::string& note : command.notes) page += paragraph(note);
  if (!command.commands.empty()) page += commandList(command);
  page += ".SH OPTIONS\n";
  for (const OptionText& option : command.options) page += entry(option);
  if (!command.examples.empty()) page += examples(command);
  if (command.commands.size() + tool.commands.size() > 0) page += seeAlso(tool, command);
  return page;
}

}  // namespace jvmc::tools
