#include <fmt/core.h>

#include <vector>

#include "completion.h"
#include "help_format.h"
#include "value_words.h"

namespace kvplace::cli {
namespace {

std::string in_single_quotes(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    out += c == '\'' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  }
  return out + "'";
}

/// "-F -a 'a b'": -f if nothing but these words may stand there.
std::string offers(const ValueWords& value) {
  std::string out = value.files ? " -F" : " -f";
  if (!value.words.empty()) {
    out += " -a " + in_single_quotes(CLI::detail::join(value.words, " "));
  }
  return out;
}

std::string flag_line(const std::string& condition, const CLI::Option& option, const CLI::App& parser) {
  std::string line = fmt::format("complete -c kvplace -n {}", in_single_quotes(condition));
  for (const std::string& name : option.get_snames()) {
    line += " -s " + name;
  }
  for (const std::string& name : option.get_lnames()) {
    line += " -l " + name;
  }
  if (!value_name(option).empty()) {
    line += " -r" + offers(value_words(option, parser));
  }
  return line + " -d " + in_single_quotes(description(option)) + "\n";
}

}  // namespace

std::string fish_completion(const CLI::App& parser) {
  std::string out =
      "# fish completion of kvplace: kvplace completion fish | source\n"
      "complete -c kvplace -f\n";
  for (const CLI::Option* option : flags(parser)) {
    out += flag_line("__fish_use_subcommand", *option, parser);
  }
  for (const CLI::App* verb : parser.get_subcommands({})) {
    out += fmt::format("complete -c kvplace -n __fish_use_subcommand -a {} -d {}\n", verb->get_name(),
                       in_single_quotes(verb->get_description()));
  }
  for (const CLI::App* verb : parser.get_subcommands({})) {
    // Of the first word: `kvplace help compare` is not compare.
    const std::string condition = "test (commandline -opc)[2] = " + verb->get_name();
    for (const CLI::Option* option : positionals(*verb)) {
      out +=
          fmt::format("complete -c kvplace -n {}{}\n", in_single_quotes("not __fish_use_subcommand; and " + condition),
                      offers(value_words(*option, parser)));
    }
    for (const CLI::Option* option : flags(*verb)) {
      out += flag_line("not __fish_use_subcommand; and " + condition, *option, parser);
    }
  }
  return out;
}

}  // namespace kvplace::cli
