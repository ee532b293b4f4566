/// What is wrong with the words of a command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace kvplace::cli {

/// One sentence, with the nearest known word where one is unknown, and how to get help. `words` are those behind the
/// program's name.
[[nodiscard]] std::string explain_usage(const CLI::ParseError& error, const CLI::App& parser,
                                        const std::vector<std::string>& words);

/// That there is no such verb, and the nearest.
[[nodiscard]] std::string unknown_verb(const std::string& name, const CLI::App& parser);

[[nodiscard]] std::vector<std::string> verb_names(const CLI::App& parser);

/// The verb of that name, or null.
[[nodiscard]] const CLI::App* find_verb(const CLI::App& parser, const std::string& name);

}  // namespace kvplace::cli
