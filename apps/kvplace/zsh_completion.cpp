#include <fmt/core.h>

#include <vector>

#include "completion.h"
#include "help_format.h"
#include "value_words.h"

namespace kvplace::cli {
namespace {

/// Text between the single quotes of a specification, where ':' and brackets divide its parts.
std::string in_specification(const std::string& text) {
  std::string out;
  for (const char c : text) {
    out += c == '\'' ? std::string("'\\''")
                     : (c == ':' || c == '[' || c == ']' ? std::string("\\") + c : std::string(1, c));
  }
  return out;
}

/// What _arguments does for a value: ":name:{ compadd ...; _files }".
std::string action(const CLI::Option& option, const CLI::App& parser) {
  const ValueWords value = value_words(option, parser);
  std::string steps;
  if (!value.words.empty()) {
    steps += " compadd - " + CLI::detail::join(value.words, " ") + ";";
  }
  if (value.files) {
    steps += " _files;";
  }
  return ":" + in_specification(value_name(option)) + ":" + (steps.empty() ? " " : "{" + steps + " }");
}

std::string flag_specification(const CLI::Option& option, const CLI::App& parser) {
  const std::vector<std::string> names = flag_names(option);
  const bool several = is_repeatable(option) || takes_several(option);
  const std::string meaning = "[" + in_specification(description(option)) + "]";
  const std::string value = value_name(option).empty() ? "" : action(option, parser);
  // (-o --out): once one of them is given, neither is offered any more.
  const std::string once = several ? "*" : "(" + CLI::detail::join(names, " ") + ")";
  std::string out;
  for (const std::string& name : names) {
    out += fmt::format(" \\\n            '{}{}{}{}'", once, name, meaning, value);
  }
  return out;
}

std::string verb_case(const CLI::App& verb, const CLI::App& parser) {
  std::string out = fmt::format("        {})\n          _arguments -S", verb.get_name());
  for (const CLI::Option* option : flags(verb)) {
    out += flag_specification(*option, parser);
  }
  for (const CLI::Option* option : positionals(verb)) {
    out +=
        fmt::format(" \\\n            '{}{}'", takes_several(*option) ? "*:" : ":", action(*option, parser).substr(1));
  }
  return out + " ;;\n";
}

}  // namespace

std::string zsh_completion(const CLI::App& parser) {
  std::string verbs;
  std::string cases;
  for (const CLI::App* verb : parser.get_subcommands({})) {
    verbs += fmt::format("        '{}:{}'\n", verb->get_name(), in_specification(verb->get_description()));
    cases += verb_case(*verb, parser);
  }
  std::string first;
  for (const CLI::Option* option : flags(parser)) {
    first += flag_specification(*option, parser);
  }
  return "#compdef kvplace\n"
         "# zsh completion of kvplace: source <(kvplace completion zsh), or this file as _kvplace in a folder of "
         "$fpath\n"
         "_kvplace() {\n"
         "  local curcontext=\"$curcontext\" state line\n"
         "  local -a verbs\n"
         "  _arguments -C" +
         first +
         " \\\n            '1: :->verb' '*:: :->arguments'\n"
         "  case $state in\n"
         "    verb)\n"
         "      verbs=(\n" +
         verbs +
         "      )\n"
         "      _describe -t verbs verb verbs ;;\n"
         "    arguments)\n"
         "      case $words[1] in\n" +
         cases +
         "      esac ;;\n"
         "  esac\n"
         "}\n"
         "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _kvplace \"$@\"; else compdef _kvplace kvplace; fi\n";
}

}  // namespace kvplace::cli
