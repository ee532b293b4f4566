/// What may stand where a command line takes a value: read from the names that the flags' values have in --help.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace kvplace::cli {

struct ValueWords {
  std::vector<std::string> words;
  bool files = false;
};

/// Of "HARDWARE|FILE" the names of all machines, and files; of "inclusive|exclusive" these two. Alternatives are names
/// of what `kvplace list` shows (POLICY, HARDWARE, MODEL, ENGINE, WORKLOAD), VERB, FILE, or, in small letters, the word
/// itself; of anything else, like SIZE, nothing is known.
[[nodiscard]] ValueWords value_words(const CLI::Option& option, const CLI::App& parser);

/// "a|b|c", a value's name of words.
[[nodiscard]] std::string alternatives(const std::vector<std::string>& words);

/// The verb's positional arguments, in order.
[[nodiscard]] std::vector<const CLI::Option*> positionals(const CLI::App& verb);

/// The verb's flags, in order.
[[nodiscard]] std::vector<const CLI::Option*> flags(const CLI::App& verb);

}  // namespace kvplace::cli
