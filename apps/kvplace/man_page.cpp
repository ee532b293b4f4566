#include "man_page.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "help_format.h"
#include "kvplace/base/manifest.h"
#include "value_words.h"

namespace kvplace::cli {
namespace {

/// Text as roff reads it: a hyphen that may be copied, and no line that begins like a request.
std::string roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    out += c == '\\' ? std::string("\\e") : (c == '-' ? std::string("\\-") : std::string(1, c));
  }
  return out.starts_with('.') || out.starts_with('\'') ? "\\&" + out : out;
}

std::string in_capitals(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return text;
}

/// Words of the language in bold, replaceable ones in italics (man-pages(7)).
std::string value_in_fonts(const CLI::Option& option) {
  std::string out;
  for (const std::string& alternative : CLI::detail::split(value_name(option), '|')) {
    const bool replaceable = alternative == in_capitals(alternative);
    out += (out.empty() ? "" : "|") + std::string(replaceable ? "\\fI" : "\\fB") + roff(alternative) + "\\fR";
  }
  return out + (takes_several(option) ? " ..." : "");
}

std::string entry(const CLI::Option& option) {
  std::string head;
  for (const std::string& name : flag_names(option)) {
    head += (head.empty() ? "" : ", ") + ("\\fB" + roff(name) + "\\fR");
  }
  if (option.get_positional()) {
    head = "\\fI" + roff(option.get_name(true)) + "\\fR";
  }
  if (!value_name(option).empty()) {
    head += " " + value_in_fonts(option);
  }
  std::string meaning = roff(description(option));
  meaning += option.get_required() ? " (required)" : "";
  meaning += is_repeatable(option) && meaning.find("repeatable") == std::string::npos ? " (repeatable)" : "";
  return ".TP\n" + head + "\n" + meaning + "\n";
}

std::string verb_section(const CLI::App& verb) {
  std::string out = ".SS \"kvplace " + roff(verb.get_name()) + "\"\n" + roff(verb.get_description()) + ".\n";
  for (const CLI::Option* option : positionals(verb)) {
    out += entry(*option);
  }
  for (const CLI::Option* option : flags(verb)) {
    if (option != verb.get_help_ptr()) {
      out += entry(*option);
    }
  }
  return out;
}

}  // namespace

std::string man_page(const CLI::App& parser) {
  std::string out = fmt::format(
      ".\\\" Made by kvplace help \\-\\-man.\n"
      ".TH KVPLACE 1 \"\" \"kvplace {}\" \"User Commands\"\n"
      ".SH NAME\n"
      "kvplace \\- placement of the KV cache of LLM decode across memory tiers\n"
      ".SH SYNOPSIS\n",
      roff(make_manifest().version));
  for (const CLI::App* verb : parser.get_subcommands({})) {
    out += ".B kvplace " + roff(verb->get_name()) + "\n[\\fIOPTIONS\\fR]";
    for (const CLI::Option* option : positionals(*verb)) {
      const std::string name = "\\fI" + roff(option->get_name(true)) + "\\fR" + (takes_several(*option) ? "..." : "");
      out += option->get_required() ? " " + name : " [" + name + "]";
    }
    out += "\n.br\n";
  }
  out += ".B kvplace\n\\-\\-help | \\-\\-version\n.SH DESCRIPTION\n" + roff(parser.get_description()) +
         "\n.PP\nResults go to standard output, remarks and progress to standard error.\n"
         "A trace, schedule or certificate named \\fB\\-\\fR is read from standard input.\n.SH VERBS\n";
  for (const CLI::App* verb : parser.get_subcommands({})) {
    out += verb_section(*verb);
  }
  out +=
      ".SH \"EXIT STATUS\"\n"
      ".TP\n0\ndone\n"
      ".TP\n1\nfailed\n"
      ".TP\n2\nbad input or usage\n"
      ".TP\n3\na limit was reached or the run was interrupted; the best so far is given\n"
      ".TP\n4\na certificate or a schedule was rejected\n";
  return out;
}

}  // namespace kvplace::cli
