#include "usage_error.h"

#include <algorithm>

#include "help_format.h"
#include "kvplace/base/parse.h"

namespace kvplace::cli {
namespace {

/// The option that a word names, "--mode" or "--mode=exclusive"; null if it names none.
const CLI::Option* option_of(const CLI::App& parser, const std::string& word) {
  for (const CLI::Option* option : parser.get_options({})) {
    const std::vector<std::string> names = flag_names(*option);
    if (std::find(names.begin(), names.end(), word.substr(0, word.find('='))) != names.end()) {
      return option;
    }
  }
  return nullptr;
}

bool looks_like_a_flag(const std::string& word) { return word.size() > 1 && word.front() == '-'; }

std::string unknown_flag(const std::string& word, const CLI::App& parser) {
  std::vector<std::string> known;
  for (const CLI::Option* option : parser.get_options({})) {
    const std::vector<std::string> names = flag_names(*option);
    known.insert(known.end(), names.begin(), names.end());
  }
  const std::string name = word.substr(0, word.find('='));
  return "unknown flag " + in_quotes(name) + "; the nearest known flag is " + in_quotes(nearest_name(name, known));
}

/// What is wrong with the words behind a verb as far as they show it themselves; else empty.
std::string wrong_word(const CLI::App& verb, const std::vector<std::string>& words, bool words_are_left) {
  for (std::size_t i = 1; i < words.size() && words[i] != "--"; ++i) {
    if (!looks_like_a_flag(words[i])) {
      continue;
    }
    const CLI::Option* option = option_of(verb, words[i]);
    if (option == nullptr && words[i].starts_with("--")) {
      return unknown_flag(words[i], verb);
    }
    if (option == nullptr || value_name(*option).empty()) {
      continue;
    }
    const bool value_is_next = words[i].find('=') == std::string::npos;
    if (value_is_next && i + 1 == words.size()) {
      return words[i] + " needs a value: " + description(*option);
    }
    i += value_is_next ? 1 : 0;
    if (words_are_left && is_repeatable(*option) && i + 1 < words.size() && !looks_like_a_flag(words[i + 1])) {
      const std::string flag = flag_names(*option).back();
      return flag + " takes one value each time, and " + in_quotes(words[i + 1]) +
             " is an argument of its own: write " + flag + " before each value";
    }
  }
  return "";
}

/// An argument that is missing, by its name and its meaning; else empty.
std::string missing_argument(const CLI::App& verb) {
  for (const CLI::Option* option : verb.get_options({})) {
    if (option->get_required() && option->count() == 0) {
      const std::vector<std::string> names = flag_names(*option);
      return in_quotes(names.empty() ? option->get_name(true) : names.back()) + " is missing: " + description(*option) +
             " (" + value_name(*option) + ")";
    }
  }
  return "";
}

std::string explain_words(const CLI::ParseError& error, const CLI::App& parser, const std::vector<std::string>& words) {
  if (looks_like_a_flag(words.front())) {
    return option_of(parser, words.front()) == nullptr ? "before the verb: " + unknown_flag(words.front(), parser)
                                                       : error.what();
  }
  const CLI::App* verb = find_verb(parser, words.front());
  if (verb == nullptr) {
    return unknown_verb(words.front(), parser);
  }
  const bool words_are_left = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
  std::string wrong = wrong_word(*verb, words, words_are_left);
  if (wrong.empty() && words_are_left && verb->remaining_size() > 0) {
    wrong = "unexpected argument " + in_quotes(verb->remaining().front());
  }
  if (wrong.empty() && dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    wrong = missing_argument(*verb);
  }
  return verb->get_name() + ": " + (wrong.empty() ? std::string(error.what()) : wrong);
}

}  // namespace

std::vector<std::string> verb_names(const CLI::App& parser) {
  std::vector<std::string> names;
  for (const CLI::App* verb : parser.get_subcommands({})) {
    names.push_back(verb->get_name());
  }
  return names;
}

const CLI::App* find_verb(const CLI::App& parser, const std::string& name) {
  const std::vector<const CLI::App*> verbs = parser.get_subcommands({});
  const auto found = std::find_if(verbs.begin(), verbs.end(), [&](const CLI::App* v) { return v->get_name() == name; });
  return found == verbs.end() ? nullptr : *found;
}

std::string unknown_verb(const std::string& name, const CLI::App& parser) {
  return "unknown verb " + in_quotes(name) + "; the nearest known verb is " +
         in_quotes(nearest_name(name, verb_names(parser)));
}

std::string explain_usage(const CLI::ParseError& error, const CLI::App& parser, const std::vector<std::string>& words) {
  if (words.empty()) {
    return "no verb is named: kvplace demo shows what this is, kvplace help what there is";
  }
  const bool known = !words.empty() && find_verb(parser, words.front()) != nullptr;
  return explain_words(error, parser, words) + " (kvplace help" + (known ? " " + words.front() : "") +
         " shows the usage)";
}

}  // namespace kvplace::cli
