#include <fmt/core.h>

#include <map>
#include <vector>

#include "completion.h"
#include "help_format.h"
#include "usage_error.h"
#include "value_words.h"

namespace kvplace::cli {
namespace {

std::string spaced(const std::vector<std::string>& words) { return CLI::detail::join(words, " "); }

/// Names of presets and words of the program's own hold nothing that a shell would expand.
std::string offer(const ValueWords& value) {
  return fmt::format("words='{}'{}", spaced(value.words), value.files ? "; files=yes" : "");
}

/// The case that knows the value of each flag that takes one: flags with the same values share a line.
std::string flag_values(const CLI::App& parser) {
  std::map<std::string, std::string> patterns;  // by what they offer
  for (const CLI::App* verb : parser.get_subcommands({})) {
    for (const CLI::Option* option : flags(*verb)) {
      if (value_name(*option).empty()) {
        continue;
      }
      std::string& pattern = patterns[offer(value_words(*option, parser))];
      for (const std::string& name : flag_names(*option)) {
        pattern += fmt::format("{}'{} {}'", pattern.empty() ? "" : "|", verb->get_name(), name);
      }
    }
  }
  std::string out;
  for (const auto& [offered, pattern] : patterns) {
    out += fmt::format("    {}) {} ;;\n", pattern, offered);
  }
  return out;
}

/// The case that knows what else may stand behind each verb. Positions are not counted: all arguments are offered.
std::string verb_words(const CLI::App& parser) {
  std::string out;
  for (const CLI::App* verb : parser.get_subcommands({})) {
    ValueWords arguments;
    for (const CLI::Option* option : positionals(*verb)) {
      const ValueWords value = value_words(*option, parser);
      arguments.words.insert(arguments.words.end(), value.words.begin(), value.words.end());
      arguments.files = arguments.files || value.files;
    }
    std::vector<std::string> names;
    for (const CLI::Option* option : flags(*verb)) {
      const std::vector<std::string> of_one = flag_names(*option);
      names.insert(names.end(), of_one.begin(), of_one.end());
    }
    out += fmt::format("        {}) if [[ $cur == -* ]]; then words='{}'; else {}; fi ;;\n", verb->get_name(),
                       spaced(names), offer(arguments));
  }
  return out;
}

}  // namespace

std::string bash_completion(const CLI::App& parser) {
  std::vector<std::string> first = verb_names(parser);
  for (const CLI::Option* option : flags(parser)) {
    const std::vector<std::string> names = flag_names(*option);
    first.insert(first.end(), names.begin(), names.end());
  }
  // readline breaks words at '=', so that --mode=e are three of them.
  return "# bash completion of kvplace: source <(kvplace completion bash)\n"
         "_kvplace() {\n"
         "  local cur=\"${COMP_WORDS[COMP_CWORD]}\" flag=\"${COMP_WORDS[COMP_CWORD-1]}\" verb=\"${COMP_WORDS[1]}\"\n"
         "  local words='' files='' IFS=$' \\t\\n'\n"
         "  if [[ $flag == '=' ]]; then flag=\"${COMP_WORDS[COMP_CWORD-2]}\"; fi\n"
         "  if [[ $cur == '=' ]]; then cur=''; fi\n"
         "  COMPREPLY=()\n"
         "  if [[ $COMP_CWORD -eq 1 ]]; then\n" +
         fmt::format("    COMPREPLY=($(compgen -W '{}' -- \"$cur\"))\n", spaced(first)) +
         "    return\n"
         "  fi\n"
         "  case \"$verb $flag\" in\n" +
         flag_values(parser) +
         "    *)\n"
         "      case \"$verb\" in\n" +
         verb_words(parser) +
         "      esac ;;\n"
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "  if [[ -n $files ]]; then\n"
         "    compopt -o filenames 2>/dev/null\n"
         "    IFS=$'\\n'\n"
         "    COMPREPLY+=($(compgen -f -- \"$cur\"))\n"
         "  fi\n"
         "}\n"
         "complete -F _kvplace kvplace\n";
}

}  // namespace kvplace::cli
